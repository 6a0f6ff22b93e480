// SPDX-License-Identifier: Apache-2.0
#include "base/config_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anypop {
namespace {

using testing::ElementsAre;

using testing::IsEmpty;

ServiceConfig service(const std::string& name, const std::vector<std::string>& backends) {
  ServiceConfig out;
  out.name = name;
  out.vip = *IpAddress::parse("198.51.100.1");
  out.port = 80;
  for (const std::string& backend : backends) {
    out.backends.push_back({.name = backend, .address = *IpAddress::parse("10.1.0.11")});
  }
  return out;
}

PopConfig base() {
  PopConfig config;
  config.dataplane.ports = {{.name = "uplink", .device = "eth1"}};
  config.services = {service("web", {"b1", "b2"}), service("dns", {"b1"})};
  return config;
}

TEST(ConfigDiff, EqualConfigurationsDifferInNothing) {
  const ConfigDiff diff = diff_configs(base(), base());
  EXPECT_THAT(diff.refused, IsEmpty());
  EXPECT_THAT(diff.settings, IsEmpty());
  EXPECT_THAT(diff.services, IsEmpty());
}

TEST(ConfigDiff, ServicesAndBackendsGoByName) {
  PopConfig after = base();
  after.services[0].backends = {{.name = "b2", .address = *IpAddress::parse("10.1.0.12"), .weight = 3},
                                {.name = "b3", .address = *IpAddress::parse("10.1.0.13")}};
  after.services[0].port = 8080;
  after.services[1] = service("mail", {"b1"});
  const ConfigDiff diff = diff_configs(base(), after);
  ASSERT_EQ(diff.services.size(), 3U);
  EXPECT_EQ(diff.services[0].what, "port 80 -> 8080");
  ASSERT_EQ(diff.services[0].backends.size(), 3U);
  EXPECT_EQ(diff.services[0].backends[0].what, "address 10.1.0.11 -> 10.1.0.12, weight 1 -> 3");
  EXPECT_EQ(diff.services[0].backends[1].change, Change::kAdded);
  EXPECT_EQ(diff.services[0].backends[2].change, Change::kRemoved);
  EXPECT_EQ(diff.services[0].backends[2].name, "b1");
  EXPECT_EQ(diff.services[1].name, "mail");
  EXPECT_EQ(diff.services[1].change, Change::kAdded);
  EXPECT_EQ(diff.services[2].name, "dns");
  EXPECT_EQ(diff.services[2].change, Change::kRemoved);
}

TEST(ConfigDiff, AKeyThatHasNoWordsIsAChangeAllTheSame) {
  PopConfig after = base();
  after.services[0].tunnel.gue_port = 1;
  EXPECT_EQ(diff_configs(base(), after).services.at(0).what, "other keys");
  after.dataplane.engine.answer_echo = AnswerEcho::kNever;
  EXPECT_THAT(diff_configs(base(), after).settings, ElementsAre("dataplane.answer_echo while_serving -> never"));
}

TEST(ConfigDiff, WhatARunningDataplaneCannotChangeIsNamed) {
  PopConfig after = base();
  after.dataplane.cores = {1, 2};
  after.dataplane.hash_key[0] = 0xab;
  after.dataplane.engine.echo_per_second = 7;
  after.dataplane.ports[0].queues = 2;
  after.dataplane.punt.icmp_per_second = 7;
  const auto refused = diff_configs(base(), after).refused;
  EXPECT_THAT(refused, ElementsAre("dataplane.ports: found uplink (eth1 x2), expected uplink (eth1 x1) as before",
                                   "dataplane.cores: found 1 2, expected none as before",
                                   "dataplane.punt: found other limits, expected them as before",
                                   "dataplane.hash_key: found another one, expected it as before",
                                   "dataplane.echo_per_second: found 7, expected 1000 as before"));
}

}  // namespace
}  // namespace anypop
