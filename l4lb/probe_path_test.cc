// SPDX-License-Identifier: Apache-2.0
// Probes of the monitor, against what becomes of clients' packets.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "allocation_count.h"
#include "base/probe_source.h"
#include "flow.h"
#include "golden_rows.h"
#include "l4lb_testing/packets.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::Burst;
using l4lb_testing::eth;
using l4lb_testing::Frame;
using l4lb_testing::hex;

template <class F>
class ProbePathTest : public testing::Test {
 protected:
  static constexpr bool kV4 = F::kFamily == Family::kV4;
  static constexpr std::uint16_t kFirst = kV4 ? 0 : kGoldenServices;
  static constexpr const char* kVip = kV4 ? "198.51.100.1" : "2001:db8:53::1";

  std::shared_ptr<const Snapshot> build(const EngineConfig& engine = golden_engine()) const {
    return SnapshotBuilder(services_, kGoldenKey, engine).build(input_);
  }
  // Of a backend of this family's service.
  std::string source(std::uint16_t service, std::size_t backend) const {
    const EngineConfig engine = golden_engine();
    const IpPrefix* prefix = find_probe_prefix(engine.probe_sources, F::kFamily);
    return probe_sources(*prefix, services_[kFirst + service].backends).at(backend).to_string();
  }
  Frame frame(std::uint16_t service, const std::string& from, std::uint16_t payload_bytes = 32) const {
    const ServiceConfig& config = services_[kFirst + service];
    const std::string vip = config.vip.to_string();
    auto ip = eth().ip({.source = from, .destination = vip, .dont_fragment = true});
    return config.protocol == Protocol::kTcp ? ip.tcp({.destination = config.port}).payload(payload_bytes)
                                             : ip.udp({.destination = config.port}).payload(payload_bytes);
  }

  const std::vector<ServiceConfig> services_ = golden_services();
  SnapshotInput input_ = golden_input();
  WorkerState state_{golden_engine()};
  Counters counters_{services_};
};
using Families = testing::Types<V4, V6>;
TYPED_TEST_SUITE(ProbePathTest, Families);

// l2 and every kind of tunnel, over both families.
TYPED_TEST(ProbePathTest, LeavesByteForByteAsAClientsPacketDoes) {
  EngineConfig unreserved = golden_engine();
  unreserved.probe_sources.clear();
  const auto as_client = this->build(unreserved);
  const auto as_probe = this->build();
  for (const std::uint16_t service : {kWeb, kDns, kOther, kIpip4, kIpip6, kGre4, kGre6, kGue4, kGue6, kGue6Zero}) {
    SCOPED_TRACE(this->services_[this->kFirst + service].name);
    const Frame sent = this->frame(service, this->source(service, 0));
    Burst client({&sent, 1});
    Burst probe({&sent, 1});
    process_burst(*as_client, client.packets(), 0, this->state_, this->counters_);
    process_probes(*as_probe, probe.packets(), 0, this->state_, this->counters_);
    ASSERT_EQ(verdict_name(client[0].verdict), "forward");
    EXPECT_EQ(verdict_name(probe[0].verdict), "forward_probe");
    EXPECT_EQ(probe[0].backend, 0);
    EXPECT_EQ(probe.frame(0), client.frame(0)) << hex(probe.frame(0));
  }
}

TYPED_TEST(ProbePathTest, AProbeThatDoesNotFitTheTunnelIsAnsweredLikeAClientsPacket) {
  const auto snapshot = this->build();
  const Frame sent = this->frame(kSmallMtu, this->source(kSmallMtu, 0), 1400);
  Burst probe({&sent, 1});
  process_probes(*snapshot, probe.packets(), 0, this->state_, this->counters_);
  EXPECT_EQ(verdict_name(probe[0].verdict), "reply_too_big");
}

TYPED_TEST(ProbePathTest, TheSourceNamesTheBackendWhateverItsHealthAndWeight) {
  auto& states = this->input_.backends[this->kFirst + kSpread];
  states[0].weight_permille = 0;
  states[1].healthy = false;
  const auto snapshot = this->build();
  for (std::size_t backend = 0; backend < states.size(); ++backend) {
    for (std::uint16_t port = 1024; port < 1100; ++port) {
      const Frame sent = eth()
                             .ip({.source = this->source(kSpread, backend), .destination = this->kVip})
                             .tcp({.source = port, .destination = 443});
      Burst probe({&sent, 1});
      process_probes(*snapshot, probe.packets(), 0, this->state_, this->counters_);
      ASSERT_EQ(verdict_name(probe[0].verdict), "forward_probe");
      ASSERT_EQ(probe[0].service, this->kFirst + kSpread);
      ASSERT_EQ(probe[0].backend, backend);
      ASSERT_EQ(static_cast<std::uint8_t>(probe.frame(0)[5]), 0x21 + backend) << "its MAC";
    }
  }
  // No backend is healthy, so that clients' packets are dropped.
  const Frame sent = this->frame(kDead, this->source(kDead, 0));
  Burst probe({&sent, 1});
  process_probes(*snapshot, probe.packets(), 0, this->state_, this->counters_);
  EXPECT_EQ(verdict_name(probe[0].verdict), "forward_probe");
}

TYPED_TEST(ProbePathTest, WhatNamesNobodyIsDropped) {
  const auto snapshot = this->build();
  const auto verdict = [&](const Frame& sent) {
    Burst probe({&sent, 1});
    process_probes(*snapshot, probe.packets(), 0, this->state_, this->counters_);
    EXPECT_EQ(probe.frame(0), sent);
    return std::string(verdict_name(probe[0].verdict));
  };
  EXPECT_EQ(verdict(this->frame(kWeb, this->kV4 ? "10.99.0.255" : "2001:db8:99::")), "drop_probe_unknown");
  EXPECT_EQ(verdict(this->frame(kWeb, this->kV4 ? "192.0.2.10" : "2001:db8:c::10")), "drop_probe_unknown")
      << "not reserved";
  EXPECT_EQ(verdict(this->frame(kUnresolved, this->source(kUnresolved, 0))), "drop_next_hop_unresolved");
  EXPECT_EQ(verdict(eth().ip({.source = this->source(kWeb, 0), .destination = this->kVip}).tcp({.destination = 8080})),
            "drop_no_service");
  EXPECT_EQ(
      verdict(eth()
                  .ip({.source = this->source(kWeb, 0), .destination = this->kV4 ? "198.51.100.3" : "2001:db8:53::3"})
                  .tcp()),
      "pass_not_vip");
}

// The burst's way in decides, not the packet: whatever a client writes into it, and whether or not it is caught.
TYPED_TEST(ProbePathTest, NobodyElseChoosesABackendByAReservedSource) {
  const auto snapshot = this->build();
  for (std::size_t backend = 0; backend < 3; ++backend) {
    const std::string reserved = this->source(kSpread, backend);
    const Frame whole = this->frame(kSpread, reserved);
    // An ICMP error that quotes an answer to the reserved address: its flow is the probe's.
    const Frame quoting = eth().ip({.source = this->kVip, .destination = reserved}).tcp({.source = 443});
    const Frame error =
        eth()
            .ip({.destination = this->kVip})
            .icmp({.type = static_cast<std::uint8_t>(this->kV4 ? 3 : 1), .code = static_cast<std::uint8_t>(1)})
            .raw({quoting.begin() + 14, quoting.end()});
    for (const Frame& sent : {whole, error}) {
      Burst burst({&sent, 1});
      process_burst(*snapshot, burst.packets(), 0, this->state_, this->counters_);
      EXPECT_EQ(verdict_name(burst[0].verdict), "drop_reserved_source");
      EXPECT_EQ(burst[0].backend, kNone);
      EXPECT_EQ(burst.frame(0), sent);
    }
  }
  EXPECT_EQ(this->counters_.verdict(Verdict::kDropReservedSource), 6U);
}

TYPED_TEST(ProbePathTest, FragmentsFromAReservedSourceAreDroppedToo) {
  const auto snapshot = this->build();
  const std::string reserved = this->source(kSpread, 1);
  Frame first;
  Frame later;
  if (this->kV4) {
    first = eth().ip({.source = reserved, .destination = this->kVip, .more_fragments = true}).tcp({.destination = 443});
    later = eth().ip({.source = reserved, .destination = this->kVip, .protocol = 6, .fragment_offset = 3}).payload(8);
  } else {
    first =
        eth().ip({.source = reserved, .destination = this->kVip}).fragment({.more = true}).tcp({.destination = 443});
    later = eth().ip({.source = reserved, .destination = this->kVip}).fragment({.offset = 3}).payload(8);
  }
  for (const Frame& sent : {first, later}) {
    Burst burst({&sent, 1});
    process_burst(*snapshot, burst.packets(), 0, this->state_, this->counters_);
    EXPECT_TRUE(!leaves(burst[0].verdict)) << verdict_name(burst[0].verdict);
    EXPECT_EQ(burst[0].backend, kNone);
  }
}

TYPED_TEST(ProbePathTest, IsCountedApartFromClientsAndLeavesNoTrace) {
  const auto snapshot = this->build();
  std::vector<Frame> frames;
  for (std::size_t i = 0; i < kBurstMax + 3; ++i) frames.push_back(this->frame(kSpread, this->source(kSpread, i % 3)));
  Burst burst(frames);
  const std::size_t before = allocations();
  process_probes(*snapshot, burst.packets(), 0, this->state_, this->counters_);
  EXPECT_EQ(allocations(), before);
  EXPECT_EQ(this->counters_.verdict(Verdict::kForwardProbe), frames.size());
  EXPECT_EQ(this->counters_.verdict(Verdict::kForward), 0U);
  for (std::size_t backend = 0; backend < 3; ++backend) {
    EXPECT_EQ(this->counters_.backend(this->kFirst + kSpread, backend).packets, 0U);
  }
  EXPECT_EQ(this->state_.flows.stats().established + this->state_.flows.stats().half_open, 0U);
}

}  // namespace
}  // namespace anypop::l4lb
