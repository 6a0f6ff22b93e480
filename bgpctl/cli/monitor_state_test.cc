// SPDX-License-Identifier: Apache-2.0
#include "monitor_state.h"

#include <string>

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
  EXPECT_EQ(state->size(), 3U);
  EXPECT_EQ(state->at("web").level, Level::kWithdrawn);
  EXPECT_EQ(state->at("web").cause, "no healthy backend");
  EXPECT_EQ(state->at("web").hold_down_remaining_ms, 1500);
  EXPECT_EQ(state->at("web").deserved, Level::kDrained);
  EXPECT_EQ(state->at("web").deserved_cause, "c");
  EXPECT_EQ(state->at("dns").deserved, std::nullopt);
  EXPECT_EQ(state->at("dns").level, Level::kDrained);
  EXPECT_EQ(state->at("old").hold_down_remaining_ms, 0);
}

TEST(MonitorState, WithoutAListIsAnError) {
  for (const std::string body : {"", "[]", "{}", "{\"announcements\":{}}", "nonsense"}) {
    EXPECT_FALSE(parse_monitor_state(body).ok()) << body;
  }
}

}  // namespace
}  // namespace anypop::bgpctl
