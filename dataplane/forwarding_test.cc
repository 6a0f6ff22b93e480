// SPDX-License-Identifier: Apache-2.0
#include "dataplane/forwarding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const MacAddress kPortMac({2, 0, 0, 0, 0, 1});
const MacAddress kBackendMac({2, 0, 0, 0, 0, 0x11});

PopConfig two_backends() {
  PopConfig config;
  ServiceConfig service;
  service.name = "web";
  service.vip = *IpAddress::parse("198.51.100.1");
  service.port = 80;
  service.table_size = 101;
  service.backends = {{.name = "b1", .address = *IpAddress::parse("10.1.0.11")},
                      {.name = "b2", .address = *IpAddress::parse("10.1.0.12"), .mac = kBackendMac}};
  config.services = {service};
  return config;
}

class ForwardingTest : public testing::Test {
 protected:
  std::uint64_t generation() const { return l4lb::generation(forwarding.snapshot()); }
  absl::Status tell(const std::string& backend, bool healthy) {
    return forwarding.set_health({{{"web", backend, healthy}}}, unknown);
  }
  absl::Status reload(const PopConfig& after) {
    Reload reload = forwarding.begin_reload();
    prepare(reload, after);
    diff = reload.diff;
    return forwarding.finish_reload(std::move(reload), [](const IpAddress&) { return std::nullopt; });
  }

  PopConfig config = two_backends();
  Forwarding forwarding{config, kPortMac, 1500, 1};
  std::vector<std::string> unknown;
  ConfigDiff diff;
};

TEST_F(ForwardingTest, StartsHealthyAndResolvedOnlyByConfiguration) {
  EXPECT_EQ(generation(), 1U);
  EXPECT_TRUE(forwarding.backend(0, 0).healthy);
  EXPECT_EQ(forwarding.backend(0, 0).next_hop_mac, std::nullopt);
  EXPECT_EQ(forwarding.backend(0, 1).next_hop_mac, kBackendMac);
  EXPECT_EQ(l4lb::next_hop_ports(forwarding.snapshot(), 0, 1), l4lb::kAllPorts);
}

TEST_F(ForwardingTest, HealthMovesTheSlotsAndOnlyAChangeIsPublished) {
  ASSERT_TRUE(tell("b1", false).ok());
  EXPECT_EQ(generation(), 2U);
  EXPECT_EQ(l4lb::slots(forwarding.snapshot(), 0, 0), 0U);
  EXPECT_EQ(l4lb::slots(forwarding.snapshot(), 0, 1), 101U);
  ASSERT_TRUE(tell("b1", false).ok());
  ASSERT_TRUE(forwarding.set_health({}, unknown).ok());
  EXPECT_EQ(generation(), 2U);
}

TEST_F(ForwardingTest, AnUnknownNameIsReportedAndTheRestTakesEffect) {
  ASSERT_TRUE(
      forwarding.set_health({{{"web", "b9", false}, {"dns", "b1", false}, {"web", "b1", false}}}, unknown).ok());
  EXPECT_THAT(unknown, ElementsAre("web/b9", "dns/b1"));
  EXPECT_FALSE(forwarding.backend(0, 0).healthy);
}

TEST_F(ForwardingTest, AWeightBeyondTheWholeIsRefused) {
  const absl::Status status = forwarding.set_health({{{"web", "b1", true, 1001}}}, unknown);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(message(status)), HasSubstr("weight_permille 1001 for backend 'b1'"));
  EXPECT_EQ(generation(), 1U);
}

TEST_F(ForwardingTest, NextHopsAreLearnedButConfiguredOnesStay) {
  const MacAddress learned({2, 0, 0, 0, 0, 0x99});
  ASSERT_TRUE(forwarding.set_next_hops([&](const IpAddress&) { return Forwarding::NextHop{learned, 2}; }).ok());
  EXPECT_EQ(generation(), 2U);
  EXPECT_EQ(forwarding.backend(0, 0).next_hop_mac, learned);
  EXPECT_EQ(forwarding.backend(0, 0).next_hop_ports, 2);
  EXPECT_EQ(l4lb::next_hop_ports(forwarding.snapshot(), 0, 0), 2);
  EXPECT_EQ(forwarding.backend(0, 1).next_hop_mac, kBackendMac);
  ASSERT_TRUE(forwarding.set_next_hops([](const IpAddress&) { return std::nullopt; }).ok());
  EXPECT_EQ(forwarding.backend(0, 0).next_hop_mac, std::nullopt);
  EXPECT_EQ(generation(), 3U);
}

TEST_F(ForwardingTest, AHungWorkerIsReportedAndTheChangeStandsAllTheSame) {
  Published<WorkerView>::Reader worker(forwarding.published(), 0);
  worker.online();
  EXPECT_EQ(tell("b1", false).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(forwarding.backend(0, 0).healthy);
  EXPECT_EQ(generation(), 2U);
  worker.offline();
}

TEST_F(ForwardingTest, AReloadKeepsHealthAndMacsByName) {
  ASSERT_TRUE(tell("b1", false).ok());
  PopConfig after = config;
  std::swap(after.services[0].backends[0], after.services[0].backends[1]);
  ServiceConfig dns = config.services[0];
  dns.name = "dns";
  dns.port = 53;
  after.services.insert(after.services.begin(), dns);
  ASSERT_TRUE(reload(after).ok());
  EXPECT_EQ(generation(), 3U);
  EXPECT_EQ(forwarding.config().services.size(), 2U);
  EXPECT_TRUE(forwarding.backend(1, 0).healthy);
  EXPECT_EQ(forwarding.backend(1, 0).next_hop_mac, kBackendMac);
  EXPECT_FALSE(forwarding.backend(1, 1).healthy) << "b1, as told";
  EXPECT_FALSE(forwarding.backend(0, 0).healthy) << "new, and there is a monitor";
  EXPECT_EQ(diff.services.at(0).name, "dns");
}

TEST_F(ForwardingTest, WithoutAMonitorANewBackendIsHealthyAtOnceAndTheReportCountsSlots) {
  PopConfig after = config;
  after.services[0].backends.push_back({.name = "b3", .address = *IpAddress::parse("10.1.0.13"), .mac = kPortMac});
  ASSERT_TRUE(reload(after).ok());
  EXPECT_TRUE(forwarding.backend(0, 2).healthy);
  EXPECT_EQ(diff.services.at(0).slots, 101U);
  EXPECT_NEAR(static_cast<double>(diff.services.at(0).slots_moved), 101.0 / 3, 8);
}

TEST_F(ForwardingTest, WhatIsToldBetweenPrepareAndFinishIsNotLost) {
  Reload reload = forwarding.begin_reload();
  prepare(reload, config);
  ASSERT_TRUE(tell("b1", false).ok());
  ASSERT_TRUE(forwarding.finish_reload(std::move(reload), [](const IpAddress&) { return std::nullopt; }).ok());
  EXPECT_FALSE(forwarding.backend(0, 0).healthy);
}

// Several balancers of a PoP agree on flows because what none of them served leaves no trace.
TEST_F(ForwardingTest, BackendsThatComeAndGoBeforeTheFirstPacketOpenNoWindow) {
  for (const bool healthy : {false, true, false, true}) ASSERT_TRUE(tell("b1", healthy).ok());
  EXPECT_EQ(l4lb::open_windows(forwarding.snapshot(), 0), 0U);
  forwarding.counters().current()[0]->by_backend().add(0, 64);
  ASSERT_TRUE(tell("b1", false).ok());
  EXPECT_EQ(l4lb::open_windows(forwarding.snapshot(), 0), 0U) << "it is dead";
  ASSERT_TRUE(tell("b1", true).ok());
  EXPECT_EQ(l4lb::open_windows(forwarding.snapshot(), 0), 0U) << "and back before the next packet";
  ASSERT_TRUE(tell("b1", false).ok());
  forwarding.counters().current()[0]->by_backend().add(1, 64);
  ASSERT_TRUE(tell("b1", true).ok());
  EXPECT_GT(l4lb::open_windows(forwarding.snapshot(), 0), 0U) << "b2 has got flows of b1's slots";
}

TEST_F(ForwardingTest, AfterAReloadNoServiceCountsAsIdle) {
  ASSERT_TRUE(tell("b1", false).ok());
  PopConfig more = config;
  more.services[0].backends.push_back({.name = "b3", .address = *IpAddress::parse("10.1.0.13")});
  ASSERT_TRUE(reload(more).ok());
  ASSERT_TRUE(tell("b1", true).ok());
  EXPECT_GT(l4lb::open_windows(forwarding.snapshot(), 0), 0U);
}

}  // namespace
}  // namespace anypop::dataplane
