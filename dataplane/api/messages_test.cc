// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anypop::dataplane_api {
namespace {

using testing::HasSubstr;

TEST(Messages, StateSurvivesTheRoundTrip) {
  State state;
  state.pop = "ams";
  state.generation = 7;
  state.ports.push_back({.name = "uplink", .device = "eth0", .mac = "02:00:00:00:00:01", .link_up = true});
  state.services.push_back({.name = "web4", .vip = "198.51.100.1", .protocol = "tcp", .port = 80, .open_windows = 5});
  state.services[0].backends.push_back(
      {.name = "b1", .address = "10.0.0.1", .weight = 3, .healthy = false, .slots = 9, .weight_permille = 250});
  const auto read = parse_state(to_json(state));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(to_json(*read), to_json(state));
  EXPECT_EQ(read->services[0].backends[0].weight, 3U);
  EXPECT_FALSE(read->services[0].backends[0].healthy);
  EXPECT_EQ(read->services[0].open_windows, 5U);
}

TEST(Messages, AnOlderMonitorSaysNothingAboutWeights) {
  const auto read = parse_health_update(R"({"backends":[{"service":"web","backend":"b1","healthy":true},)"
                                        R"({"service":"web","backend":"b2","healthy":true,"weight_permille":50}]})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->backends[0].weight_permille, 1000U);
  EXPECT_EQ(read->backends[1].weight_permille, 50U);
  EXPECT_THAT(to_json(*read), HasSubstr(R"("weight_permille":50)"));
}

TEST(Messages, ErrorsNameTheKey) {
  EXPECT_THAT(
      std::string(parse_health_update(R"({"backends":[{"service":"web4","backend":"b1"}]})").status().message()),
      HasSubstr("backends[0].healthy"));
  EXPECT_THAT(std::string(parse_health_update(R"({"backends":3})").status().message()),
              HasSubstr("backends: expected a list"));
  EXPECT_THAT(std::string(parse_health_update("{").status().message()), HasSubstr("not JSON"));
  EXPECT_THAT(std::string(parse_heartbeat(R"({"instance":"x","generation":-1,"workers":[]})").status().message()),
              HasSubstr("generation"));
}

TEST(Messages, UnknownKeysAreIgnored) { EXPECT_TRUE(parse_health_update(R"({"backends":[],"later":1})").ok()); }

}  // namespace
}  // namespace anypop::dataplane_api
