// SPDX-License-Identifier: Apache-2.0
#include "healthmon/status_page.h"

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

dataplane_api::Stats stats(std::uint64_t packets, const std::string& instance = "i") {
  return {instance, {{"forward", packets}, {"drop_truncated", 0}}, {{"web4", {{"b1", packets, 0}, {"b2", 0, 0}}}}};
}

TEST(TrafficHistory, RatesAreDifferencesOverTime) {
  TrafficHistory traffic;
  const SteadyTime start(1h);
  traffic.add(stats(1000), start);
  EXPECT_TRUE(traffic.services().at("web4").per_s.empty()) << "one value is no rate";
  traffic.add(stats(3000), start + 2s);
  EXPECT_THAT(traffic.services().at("web4").per_s, testing::ElementsAre(1000));
  traffic.add(stats(10, "another"), start + 3s);
  EXPECT_EQ(traffic.services().at("web4").per_s.size(), 1U) << "a new dataplane starts at zero";
  traffic.lost();
  EXPECT_FALSE(traffic.live());
  traffic.add(stats(20, "another"), start + 9s);
  EXPECT_EQ(traffic.services().at("web4").per_s.size(), 1U) << "nobody knows when they came";
  for (int i = 0; i < 200; ++i) traffic.add(stats(20, "another"), start + 10s + std::chrono::seconds(i));
  EXPECT_EQ(traffic.verdicts().at("forward").per_s.size(), TrafficHistory::kPoints);
}

boost::json::object state() {
  return boost::json::parse(R"({"pop": "ams", "version": "1", "dataplane": {"alive": false, "cause": "socket closed"},
    "bird": {"reachable": true, "version": "2.0.12", "sessions": [{"name": "t1", "established": false}]},
    "services": [{"name": "web4", "vip": "198.51.100.1", "protocol": "tcp", "port": 80, "panic": true, "backends": [
      {"name": "b1", "address": "10.0.0.1", "health": "unhealthy", "healthy": false, "resolved": true, "weight": 10,
       "weight_permille": 500, "use_reason": "panic", "cause": "</td><script>alert(1)</script>",
       "drain": {"who": "alice", "reason": "a & b"}, "probes": [{"latency_us": 1234}]}]}],
    "announcements": [{"name": "web", "announce": false, "cause": "web4: 0 of 1 backends healthy", "prefixes":
      ["198.51.100.0/24"], "hold_down_remaining_ms": 1500, "hold": {"kind": "withdraw", "who": "bob", "reason": "<b>",
      "expires_unix_ms": null}, "problem": "exported to nobody"}]})")
      .as_object();
}

TEST(StatusPage, SaysEverythingAndEscapesIt) {
  const std::string page = status_page({.state = state()});
  for (const char* text : {"1 of 1 announcements is not fully announced.",
                           "The dataplane does not forward: socket closed.", "Session t1 is down.",
                           "web4: 0 of 1 backends healthy", "May return in 2 s", "Hold: withdraw, by bob: &lt;b&gt;",
                           "until it is released", "exported to nobody", "0 of 1 healthy", "Panic: too few", "1.2 ms",
                           "drained by alice: a &amp; b", "&lt;script&gt;alert(1)", "does not tell its counters"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
}

TEST(StatusPage, SurvivesAStateThatHoldsNothing) { EXPECT_THAT(status_page({}), HasSubstr("</html>")); }

TEST(StatusPage, GraphsAndEvents) {
  TrafficHistory traffic;
  for (std::uint64_t i = 0; i < 5; ++i) traffic.add(stats(i * i * 1000), SteadyTime(std::chrono::seconds(i)));
  const std::deque<boost::json::object> events = {
      {{"event", "verdict"}, {"announcement", "web"}, {"unix_ms", 1'800'000'000'000}}};
  const std::string page = status_page({.state = state(), .events = &events, .traffic = &traffic});
  EXPECT_THAT(page, HasSubstr("<polyline points=\"56,26.0 57,18.0 58,10.0 59,2.0\"/>"));
  EXPECT_THAT(page, HasSubstr("7000/s packets"));
  EXPECT_THAT(page, HasSubstr("08:00:00</time>event=verdict announcement=web"));
  EXPECT_THAT(page, Not(HasSubstr("drop_truncated"))) << "what never happened";
}

}  // namespace
}  // namespace anypop::healthmon
