// SPDX-License-Identifier: Apache-2.0
// What the golden rows cannot say: properties over many packets.
#include "l4lb/pipeline.h"

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "allocation_count.h"
#include "flow.h"
#include "golden_rows.h"
#include "l4lb_testing/packets.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;

constexpr unsigned kFlows = 20000;

template <class F>
class Pipeline : public testing::Test {
 protected:
  static constexpr std::uint16_t kService = F::kFamily == Family::kV4 ? kSpread : kGoldenServices + kSpread;
  static constexpr const char* kVip = F::kFamily == Family::kV4 ? "198.51.100.1" : "2001:db8:53::1";

  // The backend of each of kFlows flows to the service with three backends.
  std::vector<std::uint16_t> backends(const Snapshot& snapshot) {
    std::vector<std::uint16_t> result;
    for (unsigned flow = 0; flow < kFlows; ++flow) {
      Frame frame =
          eth().ip({.destination = kVip}).tcp({.source = static_cast<std::uint16_t>(1024 + flow), .destination = 443});
      Packet packet{.data = frame.data(), .length_bytes = static_cast<std::uint32_t>(frame.size())};
      process_burst(snapshot, {&packet, 1}, 0, state_, counters_);
      EXPECT_EQ(packet.service, kService);
      result.push_back(packet.backend);
    }
    return result;
  }

  const std::vector<ServiceConfig> services_ = golden_services();
  SnapshotInput input_ = golden_input();
  WorkerState state_{golden_engine()};
  Counters counters_{services_};
};
using Families = testing::Types<V4, V6>;
TYPED_TEST_SUITE(Pipeline, Families);

TYPED_TEST(Pipeline, FlowsSpreadByWeight) {
  const auto snapshot = SnapshotBuilder(this->services_, kGoldenKey).build(this->input_);
  std::map<std::uint16_t, double> share;
  for (const std::uint16_t backend : this->backends(*snapshot)) share[backend] += 1.0 / kFlows;
  // 125, 63 and 63 of 251 slots; four standard deviations of 20000 draws.
  EXPECT_NEAR(share[0], 125.0 / 251, 0.0142);
  EXPECT_NEAR(share[1], 63.0 / 251, 0.0123);
  EXPECT_NEAR(share[2], 63.0 / 251, 0.0123);
}

TYPED_TEST(Pipeline, EveryServerWithTheSameConfigurationAgrees) {
  auto reordered = this->services_;
  auto& own = reordered[TestFixture::kService].backends;
  std::swap(own[0], own[2]);
  const auto one = SnapshotBuilder(this->services_, kGoldenKey).build(this->input_);
  const auto other = SnapshotBuilder(reordered, kGoldenKey).build(this->input_);
  const auto expected = this->backends(*one);
  auto found = this->backends(*other);
  for (std::uint16_t& backend : found) backend = static_cast<std::uint16_t>(2 - backend);
  EXPECT_EQ(found, expected);
}

TYPED_TEST(Pipeline, ADeadBackendsFlowsMoveAndFewOthers) {
  SnapshotBuilder builder(this->services_, kGoldenKey);
  const auto before = this->backends(*builder.build(this->input_));
  this->input_.backends[TestFixture::kService][1].healthy = false;
  const auto after = this->backends(*builder.build(this->input_));
  unsigned moved = 0;
  for (std::size_t i = 0; i < kFlows; ++i) {
    EXPECT_NE(after[i], 1);
    moved += before[i] != 1 && before[i] != after[i] ? 1U : 0U;
  }
  EXPECT_LT(moved, kFlows / 20);
}

TYPED_TEST(Pipeline, AllocatesNothing) {
  const auto snapshot = SnapshotBuilder(this->services_, kGoldenKey).build(this->input_);
  std::vector<Frame> frames;
  for (const GoldenRow& row : golden_rows(TypeParam::kFamily)) frames.push_back(row.input);
  l4lb_testing::Burst burst(frames);
  const std::size_t before = allocations();
  process_burst(*snapshot, burst.packets(), 0, this->state_, this->counters_);
  EXPECT_EQ(allocations(), before);
}

// Affinity: a source, or all of its network, has one backend; and different ones spread.
TYPED_TEST(Pipeline, BackendsFollowTheSourceOrItsNetwork) {
  constexpr bool kV4 = TypeParam::kFamily == Family::kV4;
  const auto snapshot = SnapshotBuilder(this->services_, kGoldenKey).build(this->input_);
  const auto backend = [&](const std::string& source, std::uint16_t port, std::uint16_t source_port) {
    const Frame frame =
        eth().ip({.source = source, .destination = this->kVip}).tcp({.source = source_port, .destination = port});
    l4lb_testing::Burst burst({&frame, 1});
    process_burst(*snapshot, burst.packets(), 0, this->state_, this->counters_);
    EXPECT_EQ(verdict_name(burst[0].verdict), "forward");
    return burst[0].backend;
  };
  const auto address = [&](unsigned network, unsigned host) {
    return kV4 ? fmt::format("10.0.{}.{}", network, host) : fmt::format("2001:db8:0:{:x}00::{:x}", network, host);
  };
  std::set<std::uint16_t> of_sources;
  std::set<std::uint16_t> of_networks;
  std::set<std::uint16_t> of_hosts_of_one_network;
  for (unsigned i = 0; i < 100; ++i) {
    const std::uint16_t first = backend(address(i, 1), 6000, 1);
    EXPECT_EQ(backend(address(i, 1), 6000, 2), first);
    of_sources.insert(first);
    of_hosts_of_one_network.insert(backend(address(1, i), 6000, 1));
    const std::uint16_t of_network = backend(address(i, 1), 6001, 1);
    EXPECT_EQ(backend(address(i, 200), 6001, 7), of_network);
    of_networks.insert(of_network);
  }
  EXPECT_EQ(of_sources.size(), 3);
  EXPECT_EQ(of_networks.size(), 3);
  EXPECT_EQ(of_hosts_of_one_network.size(), 3);
}

template <class F>
class Tunnels : public Pipeline<F> {
 protected:
  Frame packet(GoldenService service, std::uint16_t source_port, std::size_t payload_bytes) {
    return eth()
        .ip({.destination = this->kVip})
        .tcp({.source = source_port, .destination = static_cast<std::uint16_t>(4000 + service - kIpip4)})
        .payload(payload_bytes);
  }
  const std::shared_ptr<const Snapshot> snapshot_ = SnapshotBuilder(this->services_, kGoldenKey).build(this->input_);
};
TYPED_TEST_SUITE(Tunnels, Families);

// As many as a second's tokens at once, then none, then as many as the time that has passed is worth.
TYPED_TEST(Tunnels, ErrorsAboutTooBigPacketsAreLimited) {
  WorkerState state(EngineConfig{.too_big_per_second = 10});
  std::uint32_t now_ms = 0xfffffff0;  // about to wrap
  const auto answered = [&](int packets) {
    int replies = 0;
    for (int i = 0; i < packets; ++i) {
      const Frame frame = this->packet(kGre6, 40000, 1500);
      l4lb_testing::Burst burst({&frame, 1});
      process_burst(*this->snapshot_, burst.packets(), now_ms, state, this->counters_);
      if (burst[0].verdict == Verdict::kReplyTooBig) {
        ++replies;
      } else {
        EXPECT_EQ(verdict_name(burst[0].verdict), verdict_name(Verdict::kDropReplyLimit));
        EXPECT_EQ(burst.frame(0), frame);
      }
    }
    return replies;
  };
  EXPECT_EQ(answered(25), 10);
  now_ms += 99;
  EXPECT_EQ(answered(5), 0);
  now_ms += 1;
  EXPECT_EQ(answered(5), 1);
  now_ms += 350;
  EXPECT_EQ(answered(5), 3);
  now_ms += 60'000;
  EXPECT_EQ(answered(25), 10);
  EXPECT_EQ(this->counters_.verdict(Verdict::kReplyTooBig), 24);
  EXPECT_EQ(this->counters_.verdict(Verdict::kDropReplyLimit), 41);
}

TYPED_TEST(Tunnels, WithoutHeadroomThePacketStaysAsItIs) {
  for (const GoldenService service : {kIpip4, kIpip6, kGre4, kGre6, kGue4, kGue6}) {
    for (const std::size_t payload_bytes : {std::size_t{8}, std::size_t{1500}}) {
      const Frame frame = this->packet(service, 40000, payload_bytes);
      bool forwarded = false;
      for (std::size_t headroom = 0; headroom <= kHeadroomBytes; ++headroom) {
        l4lb_testing::Burst burst({&frame, 1}, headroom);
        process_burst(*this->snapshot_, burst.packets(), 0, this->state_, this->counters_);
        if (leaves(burst[0].verdict)) {
          forwarded = true;
          if (burst[0].verdict == Verdict::kForward) {
            EXPECT_EQ(headroom - burst[0].headroom_bytes, burst[0].length_bytes - frame.size());
          }
        } else {
          EXPECT_EQ(verdict_name(burst[0].verdict), verdict_name(Verdict::kDropNoHeadroom));
          EXPECT_FALSE(forwarded) << "more room, less done";
          EXPECT_EQ(burst.frame(0), frame);
        }
      }
      EXPECT_TRUE(forwarded) << "kHeadroomBytes were not enough";
    }
  }
}

// The flows of one backend must look different to routers and to its NIC, and each always the same.
TYPED_TEST(Tunnels, TheOuterHeaderVariesWithTheFlowAndWithNothingElse) {
  for (const GoldenService service : {kIpip4, kIpip6, kGue4, kGue6, kGre6}) {
    std::set<Frame> outers;
    for (std::uint16_t port = 1024; port < 2024; ++port) {
      Frame first;
      for (const std::size_t payload_bytes : {std::size_t{10}, std::size_t{10}}) {
        const Frame frame = this->packet(service, port, payload_bytes);
        l4lb_testing::Burst burst({&frame, 1});
        process_burst(*this->snapshot_, burst.packets(), 0, this->state_, this->counters_);
        Frame outer = burst.frame(0);
        outer.resize(outer.size() - (frame.size() - 14));
        // The checksum of gue over IPv6 covers the packet, so it differs anyhow.
        if (service == kGue6) outer[14 + 40 + 6] = outer[14 + 40 + 7] = std::byte{0};
        if (first.empty()) first = outer;
        EXPECT_EQ(outer, first);
      }
      outers.insert(first);
    }
    EXPECT_GT(outers.size(), 900) << service;
  }
}

// A reader on another thread: counters never go back, and in the end nothing is missing. (The tsan preset watches.)
TEST(PipelineCounters, AnyThreadMayReadWhileTheWorkerCounts) {
  const std::vector<ServiceConfig> services = golden_services();
  const auto snapshot = SnapshotBuilder(services, kGoldenKey).build(golden_input());
  Counters counters(services);
  WorkerState state(golden_engine());
  std::atomic<bool> done{false};
  bool went_back = false;
  std::thread reader([&] {
    std::uint64_t last = 0;
    while (!done) {
      const std::uint64_t now = counters.verdict(Verdict::kForward);
      went_back = went_back || now < last;
      last = now;
    }
  });
  Frame frame = eth().ip({.destination = "198.51.100.1"}).tcp();
  for (int i = 0; i < 20000; ++i) {
    Packet packet{.data = frame.data(), .length_bytes = static_cast<std::uint32_t>(frame.size())};
    process_burst(*snapshot, {&packet, 1}, 0, state, counters);
  }
  done = true;
  reader.join();
  EXPECT_FALSE(went_back);
  EXPECT_EQ(counters.verdict(Verdict::kForward), 20000);
  EXPECT_EQ(counters.backend(kWeb, 0).packets, 20000);
  EXPECT_EQ(counters.backend(kWeb, 0).bytes, 20000 * frame.size());
}

}  // namespace
}  // namespace anypop::l4lb
