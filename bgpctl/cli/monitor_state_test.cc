// SPDX-License-Identifier: Apache-2.0
#include "monitor_state.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anypop::bgpctl {
namespace {

TEST(MonitorState, IsReadLeniently) {
  const auto state = parse_monitor_state(
      R"({"pop":"ams","new":1,"announcements":[)"
      R"({"name":"web","announce":false,"cause":"no healthy backend","hold_down_remaining_ms":1500,"more":[],"deserved":"drained","deserved_cause":"c"},)"
      R"({"name":"dns","announce":true,"level":"drained"},{"name":7,"announce":true},{"name":"x"},"junk",)"
      R"({"name":"old","announce":true,"cause":3,"hold_down_remaining_ms":1.5}]})");
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->announcements.size(), 3U);
  EXPECT_EQ(state->announcements.at("web").level, Level::kWithdrawn);
  EXPECT_EQ(state->announcements.at("web").cause, "no healthy backend");
  EXPECT_EQ(state->announcements.at("web").hold_down_remaining_ms, 1500);
  EXPECT_EQ(state->announcements.at("web").deserved, Level::kDrained);
  EXPECT_EQ(state->announcements.at("web").deserved_cause, "c");
  EXPECT_EQ(state->announcements.at("dns").deserved, std::nullopt);
  EXPECT_EQ(state->announcements.at("dns").level, Level::kDrained);
  EXPECT_EQ(state->announcements.at("old").hold_down_remaining_ms, 0);
}

TEST(MonitorState, WithoutAListIsAnError) {
  for (const std::string body : {"", "[]", "{}", "{\"announcements\":{}}", "nonsense"}) {
    EXPECT_FALSE(parse_monitor_state(body).ok()) << body;
  }
}

TEST(MonitorState, TellsWhatTheMonitorWarnsOf) {
  const auto state = parse_monitor_state(
      R"({"announcements":[],"last_reload":{"unix_ms":1,"ok":false,"error":"pop.yaml:4: found '500'"},)"
      R"("strangers":[{"name":"old","cause":"anypop_old_v6: up, but not in pop.yaml"},7]})");
  ASSERT_TRUE(state.ok());
  EXPECT_THAT(state->warnings,
              testing::ElementsAre("runs with an older pop.yaml, the last one was refused: pop.yaml:4: found '500'",
                                   "anypop_old_v6: up, but not in pop.yaml"));
  const auto well = parse_monitor_state(R"({"announcements":[],"last_reload":{"ok":true,"error":""},"strangers":[]})");
  EXPECT_THAT(well->warnings, testing::IsEmpty());
  EXPECT_THAT(parse_monitor_state(R"({"announcements":[],"last_reload":null})")->warnings, testing::IsEmpty());
}

}  // namespace
}  // namespace anypop::bgpctl
