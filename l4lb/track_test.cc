// SPDX-License-Identifier: Apache-2.0
// Flow consistency, packet by packet, in both families.
#include "track.h"

#include <map>
#include <memory>

#include <gtest/gtest.h>

#include "golden_rows.h"
#include "l4lb_testing/packet_builder.h"
#include "l4lb_testing/packets.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;

constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kFin = 0x11;  // with ACK, as in every connection that was open
constexpr std::uint8_t kRst = 0x14;
constexpr unsigned kWindowMs = 120'000;

// One service with three backends, a table of 1009 slots, and two workers.
template <class F>
class Tracking : public testing::Test {
 protected:
  Tracking() { build(); }

  static ServiceConfig service(Track track) {
    ServiceConfig config{.name = "s", .vip = *IpAddress::parse(kVip), .port = 80, .track = track, .table_size = 1009};
    for (const char* name : {"a", "b", "c"}) {
      config.backends.push_back({.name = name, .address = *IpAddress::parse("10.0.0.1")});
    }
    return config;
  }

  void track(Track track) {
    services_[0].track = track;
    builder_.update_config(services_, kGoldenKey, engine_);
    build();
  }
  void build() {
    input_.backends.resize(1);
    input_.backends[0].resize(services_[0].backends.size());
    for (BackendState& state : input_.backends[0]) state.next_hop_mac = *MacAddress::parse(kWebMac);
    input_.now_ms = now_ms_;
    snapshot_ = builder_.build(input_);
  }
  void set(std::size_t backend, bool healthy, unsigned permille = kWholeWeight) {
    input_.backends[0][backend].healthy = healthy;
    input_.backends[0][backend].weight_permille = permille;
    build();
  }
  void pass(std::uint64_t ms) {
    now_ms_ += ms;
    if (builder_.next_change_ms() && *builder_.next_change_ms() <= now_ms_) build();
  }
  void age_out(WorkerState& state) {
    for (int i = 0; i < 200; ++i, pass(1024)) send(0, kAck, state);
  }

  // The name of the backend that a packet of client `port` goes to.
  std::string send(unsigned port, std::uint8_t flags, WorkerState& state) {
    return send(eth()
                    .ip({.destination = kVip})
                    .tcp({.source = static_cast<std::uint16_t>(port), .destination = 80, .flags = flags})
                    .build(),
                state);
  }
  std::string send(unsigned port, std::uint8_t flags) { return send(port, flags, state_); }
  std::string send(const Frame& frame, WorkerState& state) {
    l4lb_testing::Burst burst({&frame, 1});
    process_burst(*snapshot_, burst.packets(), static_cast<std::uint32_t>(now_ms_), state, *counters_);
    chosen_by_ = burst[0].chosen_by;
    return burst[0].backend == kNone ? "none" : services_[0].backends[burst[0].backend].name;
  }
  // A client whose flow the backend has, and whom the loss of backend a gives back after that.
  unsigned client_of(const std::string& backend, unsigned from = 1) {
    for (unsigned port = from;; ++port) {
      if (send(port, kAck) == backend) return port;
    }
  }

  static constexpr const char* kVip = F::kFamily == Family::kV4 ? "198.51.100.1" : "2001:db8:53::1";
  std::uint64_t now_ms_ = 5'000'000'000;  // more than 32 bits
  std::vector<ServiceConfig> services_{service(Track::kChanges)};
  EngineConfig engine_{.flow_records = 4096, .flow_window_ms = kWindowMs};
  SnapshotBuilder builder_{services_, kGoldenKey, engine_};
  SnapshotInput input_{.source_mac = *MacAddress::parse(kPortMac)};
  std::shared_ptr<const Snapshot> snapshot_;
  WorkerState state_{engine_};
  WorkerState other_{engine_};
  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>(services_);
  ChosenBy chosen_by_ = ChosenBy::kNobody;
};
using Families = testing::Types<V4, V6>;
TYPED_TEST_SUITE(Tracking, Families);

TYPED_TEST(Tracking, NothingIsRememberedUntilSomethingChanges) {
  for (unsigned port = 1; port < 100; ++port) {
    this->send(port, kSyn);
    EXPECT_EQ(this->chosen_by_, ChosenBy::kSlot);
  }
  EXPECT_TRUE(this->state_.flows.empty());
  EXPECT_FALSE(this->builder_.next_change_ms());
  EXPECT_EQ(open_windows(*this->snapshot_, 0), 0);
}

TYPED_TEST(Tracking, AReturningBackendTakesNewFlowsAndNoOldOnes) {
  const unsigned old_flow = this->client_of("a");
  this->set(0, false);
  const std::string home = this->send(old_flow, kSyn);  // it begins again elsewhere
  EXPECT_NE(home, "a");
  this->pass(1000);
  this->set(0, true);
  EXPECT_GT(open_windows(*this->snapshot_, 0), 0);
  EXPECT_EQ(this->send(old_flow, kAck), home);
  EXPECT_EQ(this->chosen_by_, ChosenBy::kPreviousOwner);
  EXPECT_EQ(this->send(old_flow, kAck), home);
  EXPECT_EQ(this->chosen_by_, ChosenBy::kRecord);
  // Another client of the same slot opens a flow: the owner's.
  unsigned new_flow = old_flow + 1;
  while (this->send(new_flow, kSyn) != "a" || this->chosen_by_ != ChosenBy::kSlot) ++new_flow;
  EXPECT_EQ(this->send(new_flow, kSyn), "a");
  EXPECT_EQ(this->chosen_by_, ChosenBy::kRecord) << "its SYN again";
  EXPECT_EQ(this->send(new_flow, kAck), "a");
  // After the window the owner's flows need no record any more; the others keep theirs.
  for (unsigned i = 0; i < 10; ++i, this->pass(kWindowMs / 8)) {
    EXPECT_EQ(this->send(old_flow, kAck), home);
    EXPECT_EQ(this->send(new_flow, kAck), "a");
  }
  EXPECT_EQ(open_windows(*this->snapshot_, 0), 0);
  EXPECT_EQ(this->state_.flows.stats().established, 1);
  EXPECT_EQ(this->send(old_flow, kAck), home);
  EXPECT_EQ(this->chosen_by_, ChosenBy::kRecord);
  EXPECT_EQ(this->counters_->flows().established, 1);
  EXPECT_GT(this->counters_->flows().hits, 10);
}

TYPED_TEST(Tracking, DrainingKeepsFlowsAndTakesNoNewOnes) {
  const unsigned flow = this->client_of("b");
  this->set(1, true, 0);
  for (unsigned i = 0; i < 20; ++i, this->pass(kWindowMs / 2)) EXPECT_EQ(this->send(flow, kAck), "b");
  for (unsigned port = 1; port < 200; ++port) {
    if (port != flow) {
      EXPECT_NE(this->send(port, kSyn), "b");
    }
  }
  // It dies in the end: the flow goes elsewhere, and stays there when the backend is back.
  this->set(1, false, 0);
  const std::string home = this->send(flow, kAck);
  EXPECT_NE(home, "b");
  this->set(1, true);
  EXPECT_EQ(this->send(flow, kAck), home);
}

TYPED_TEST(Tracking, SeveralChangesInARowMoveNoFlow) {
  std::map<unsigned, std::string> homes;
  for (unsigned port = 1; port < 300; ++port) homes[port] = this->send(port, kSyn);
  unsigned next = 300;
  for (unsigned step = 0; step < 12; ++step) {
    this->set(1, true, step % 5 * 250);
    this->set(2, true, step % 3 * 500);
    for (unsigned i = 0; i < 20; ++i, ++next) {
      homes[next] = this->send(next, kSyn);
      EXPECT_EQ(this->send(next, kAck), homes[next]);
    }
    // Every third one speaks.
    for (auto& [port, home] : homes) {
      if (port % 3 == step % 3) {
        EXPECT_EQ(this->send(port, kAck), home) << port << " in step " << step;
      }
    }
    this->pass(20'000);
  }
  this->age_out(this->state_);
}

TYPED_TEST(Tracking, AReloadMovesNoFlow) {
  std::map<unsigned, std::string> homes;
  for (unsigned port = 1; port < 300; ++port) homes[port] = this->send(port, kSyn);
  auto& backends = this->services_[0].backends;
  backends.insert(backends.begin(), {.name = "d", .address = *IpAddress::parse("10.0.0.4")});
  std::swap(backends[1], backends[3]);
  backends[1].weight = 3;
  this->builder_.update_config(this->services_, kGoldenKey, this->engine_);
  this->counters_ = std::make_unique<Counters>(this->services_);
  this->build();
  EXPECT_GT(open_windows(*this->snapshot_, 0), 0);
  for (auto& [port, home] : homes) EXPECT_EQ(this->send(port, kAck), home);
}

// Records outlive a service for its idle time. They name ids, and those of the new service mean other backends.
TYPED_TEST(Tracking, ARemovedServiceComesBack) {
  this->track(Track::kAlways);
  std::map<unsigned, std::string> homes;
  for (unsigned port = 1; port < 300; ++port) homes[port] = this->send(port, kSyn);
  for (const auto& [port, home] : homes) ASSERT_EQ(this->send(port, kAck), home);
  const auto configure = [&](const ServiceConfig& service) {
    this->services_ = {service};
    SnapshotBuilder next(this->services_, kGoldenKey, this->engine_);
    next.continue_from(this->builder_);
    this->builder_ = std::move(next);
    this->counters_ = std::make_unique<Counters>(this->services_);
    this->build();
  };
  ServiceConfig service = this->services_[0];
  ServiceConfig other = service;
  other.name = "other";
  for (unsigned times = 0; times < 3; ++times) {
    std::ranges::rotate(service.backends, service.backends.begin() + 1);
    configure(other);
    configure(service);
    for (const auto& [port, home] : homes) {
      EXPECT_EQ(this->send(port, kAck), home) << "the slot's owner, whatever was recorded";
      EXPECT_EQ(this->chosen_by_, ChosenBy::kSlot);
    }
  }
  // The next process has the same service, and its records.
  const std::string bytes = this->builder_.save();
  this->builder_ = SnapshotBuilder(this->services_, kGoldenKey, this->engine_);
  ASSERT_TRUE(this->builder_.restore(bytes).ok());
  this->build();
  for (const auto& [port, home] : homes) {
    EXPECT_EQ(this->send(port, kAck), home);
    EXPECT_EQ(this->chosen_by_, ChosenBy::kRecord);
  }
}

TYPED_TEST(Tracking, AnotherTableSizeMovesNoFlow) {
  std::map<unsigned, std::string> homes;
  for (unsigned port = 1; port < 300; ++port) homes[port] = this->send(port, kSyn);
  this->services_[0].table_size = 2003;
  this->builder_.update_config(this->services_, kGoldenKey, this->engine_);
  this->build();
  for (auto& [port, home] : homes) EXPECT_EQ(this->send(port, kAck), home);
  this->set(0, true, 500);
  for (auto& [port, home] : homes) EXPECT_EQ(this->send(port, kAck), home);
}

TYPED_TEST(Tracking, AlwaysKeepsAFlowThatIsSilentForLongerThanTheWindow) {
  this->track(Track::kAlways);
  const unsigned flow = this->client_of("a");
  const unsigned half = this->client_of("a", flow + 1);
  EXPECT_EQ(this->state_.flows.stats().established, half);
  this->set(0, true, 0);
  this->pass(3 * kWindowMs);
  EXPECT_EQ(open_windows(*this->snapshot_, 0), 0);
  EXPECT_EQ(this->send(flow, kAck), "a");
  // But not one that is silent for longer than tcp_idle_ms.
  this->pass(this->engine_.tcp_idle_ms + 2048);
  EXPECT_NE(this->send(flow, kAck), "a");
}

// The client closes first: its last packet is the ACK of the server's FIN, and is sent again when that is.
TYPED_TEST(Tracking, AFlowThatClosesKeepsItsBackendAsLongAsItSpeaks) {
  this->track(Track::kAlways);
  const unsigned flow = this->client_of("a");
  this->set(0, true, 0);
  EXPECT_EQ(this->send(flow, kFin), "a");
  for (int i = 0; i < 20; ++i) {
    this->pass(kClosingMs - 2048);
    EXPECT_EQ(this->send(flow, kAck), "a") << "half closed, or a repeated last ACK";
    EXPECT_EQ(this->chosen_by_, ChosenBy::kRecord);
    EXPECT_EQ(this->send(flow, kFin), "a") << "a repeated FIN";
  }
  this->pass(kClosingMs + 2048);
  EXPECT_NE(this->send(flow, kAck), "a") << "it has ended long ago";
}

TYPED_TEST(Tracking, ASynAfterAFinBeginsANewFlow) {
  this->track(Track::kAlways);
  const unsigned flow = this->client_of("a");
  this->set(0, true, 0);
  EXPECT_EQ(this->send(flow, kSyn), "a") << "the old one has not ended: whoever sent this, the backend answers";
  EXPECT_EQ(this->send(flow, kFin), "a");
  const std::string home = this->send(flow, kSyn);
  EXPECT_NE(home, "a");
  EXPECT_EQ(this->chosen_by_, ChosenBy::kSlot);
  EXPECT_EQ(this->state_.flows.stats().half_open, 1);
  EXPECT_EQ(this->send(flow, kAck), home);
  EXPECT_EQ(this->chosen_by_, ChosenBy::kRecord);
}

// The engine cannot tell whether a RST is genuine.
TYPED_TEST(Tracking, ARstEndsAFlowThatSaysNothingMore) {
  this->track(Track::kAlways);
  const unsigned ended = this->client_of("a");
  const unsigned lives = this->client_of("a", ended + 1);
  this->set(0, true, 0);
  for (const unsigned flow : {ended, lives}) EXPECT_EQ(this->send(flow, kRst), "a");
  this->pass(kClosingMs - 2048);
  EXPECT_EQ(this->send(lives, kAck), "a") << "it was not";
  this->pass(4096);
  EXPECT_NE(this->send(ended, kAck), "a")
      << "two minutes of silence, not the quarter of an hour of a flow that goes on";
  const std::uint64_t expired = this->state_.flows.stats().expired;
  this->pass(this->engine_.tcp_idle_ms - kClosingMs);
  EXPECT_EQ(this->send(lives, kAck), "a") << "as if nothing had been";
  this->age_out(this->state_);
  EXPECT_GT(this->state_.flows.stats().expired, expired);
}

TYPED_TEST(Tracking, WhatFollowsARstTakesItBackInTheSameBurst) {
  this->track(Track::kAlways);
  const unsigned flow = this->client_of("a");
  this->set(0, true, 0);
  const auto segment = [&](std::uint8_t flags) {
    return eth()
        .ip({.destination = this->kVip})
        .tcp({.source = static_cast<std::uint16_t>(flow), .destination = 80, .flags = flags})
        .build();
  };
  const std::vector<Frame> frames = {segment(kAck), segment(kRst), segment(kAck)};
  l4lb_testing::Burst burst(frames);
  process_burst(*this->snapshot_, burst.packets(), static_cast<std::uint32_t>(this->now_ms_), this->state_,
                *this->counters_);
  for (std::size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(burst[i].chosen_by, ChosenBy::kRecord) << i;
  this->pass(kClosingMs + 4096);
  EXPECT_EQ(this->send(flow, kAck), "a");
}

TYPED_TEST(Tracking, ARstOfNobodyIsNotRecorded) {
  this->track(Track::kAlways);
  this->send(1, kRst);
  EXPECT_TRUE(this->state_.flows.empty());
  this->send(2, kSyn);
  this->send(2, kRst);
  EXPECT_EQ(this->state_.flows.stats().half_open, 1) << "a RST confirms nothing";
}

// A change in the middle of the end: everything that is sent again finds its backend, in every order of the last
// packets.
TYPED_TEST(Tracking, AChangeWhileFlowsCloseMovesNone) {
  const std::vector<std::vector<std::uint8_t>> endings = {
      {kFin, kAck, kAck}, {kAck, kFin, kFin}, {kFin, kFin, kAck}, {kRst, kRst}, {kFin, kRst}};
  std::map<unsigned, std::string> homes;
  for (unsigned port = 1; port < 300; ++port) homes[port] = this->send(port, kAck);
  this->set(0, true, 0);
  for (std::size_t step = 0; step < 3; ++step, this->pass(kWindowMs / 3)) {
    for (const auto& [port, home] : homes) {
      const auto& ending = endings[port % endings.size()];
      if (step < ending.size()) {
        EXPECT_EQ(this->send(port, ending[step]), home) << port << " in step " << step;
      }
    }
  }
}

TYPED_TEST(Tracking, NeverRemembersNothing) {
  this->track(Track::kNever);
  const unsigned flow = this->client_of("a");
  this->set(0, true, 0);
  EXPECT_EQ(open_windows(*this->snapshot_, 0), 0);
  EXPECT_NE(this->send(flow, kAck), "a");
  EXPECT_TRUE(this->state_.flows.empty());
}

TYPED_TEST(Tracking, AFloodOfSynsBreaksNoFlow) {
  const unsigned flow = this->client_of("a");
  this->set(0, true, 0);
  EXPECT_EQ(this->send(flow, kAck), "a");
  for (unsigned port = 1; port < 65536; ++port) {
    if (port != flow) this->send(port, kSyn);
  }
  EXPECT_GT(this->state_.flows.stats().evicted_half_open, 0);
  EXPECT_EQ(this->state_.flows.stats().evicted_established, 0);
  EXPECT_EQ(this->send(flow, kAck), "a");
  EXPECT_EQ(this->chosen_by_, ChosenBy::kRecord);
}

TYPED_TEST(Tracking, AnotherWorkersRecordIsFound) {
  this->other_.peers = {&this->state_.flows};
  const unsigned flow = this->client_of("b");
  this->set(1, true, 0);
  EXPECT_EQ(this->send(flow, kAck), "b");
  this->pass(kWindowMs + 2048);
  const char* const client = TypeParam::kFamily == Family::kV4 ? "192.0.2.10" : "2001:db8:c::10";
  Frame quoted = eth()
                     .ip({.source = this->kVip, .destination = client})
                     .tcp({.source = 80, .destination = static_cast<std::uint16_t>(flow)})
                     .build();
  quoted.erase(quoted.begin(), quoted.begin() + 14);
  const auto error = eth()
                         .ip({.source = client, .destination = this->kVip})
                         .icmp({.type = TypeParam::kFamily == Family::kV4 ? std::uint8_t{3} : std::uint8_t{2}})
                         .raw(quoted)
                         .build();
  EXPECT_EQ(this->send(error, this->other_), "b") << "an ICMP error";
  EXPECT_TRUE(this->other_.flows.empty()) << "it is no evidence that the flow lives";
  EXPECT_EQ(this->send(flow, kAck, this->other_), "b") << "a flow that the NIC steers elsewhere now";
  EXPECT_EQ(this->other_.flows.stats().established, 1);
}

TYPED_TEST(Tracking, ALaterProcessTakesOver) {
  std::map<unsigned, std::string> homes;
  for (unsigned port = 1; port < 300; ++port) homes[port] = this->send(port, kSyn);
  this->set(0, true, 0);
  for (unsigned port = 1; port < 300; port += 2) this->send(port, kAck);
  const std::string bytes = this->builder_.save();
  for (const bool reordered : {false, true}) {
    SnapshotBuilder builder(this->services_, kGoldenKey, this->engine_);
    ASSERT_TRUE(builder.restore(bytes).ok());
    if (reordered) std::swap(this->services_[0].backends[0], this->services_[0].backends[2]);
    if (reordered) builder.update_config(this->services_, kGoldenKey, this->engine_);
    this->builder_ = std::move(builder);
    for (BackendState& state : this->input_.backends[0]) state.weight_permille = kWholeWeight;
    this->build();
    for (auto& [port, home] : homes) EXPECT_EQ(this->send(port, kAck), home) << port;
  }
  SnapshotBuilder keyed(this->services_, {1}, this->engine_);
  EXPECT_FALSE(keyed.restore(bytes).ok());
  EXPECT_FALSE(this->builder_.restore(bytes + "x").ok());
  for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + cut / 50) {
    EXPECT_FALSE(this->builder_.restore(std::string_view(bytes).substr(0, cut)).ok());
  }
}

}  // namespace
}  // namespace anypop::l4lb
