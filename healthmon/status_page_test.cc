// SPDX-License-Identifier: Apache-2.0
#include "healthmon/status_page.h"

#include <filesystem>
#include <fstream>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/text.h"
#include "event_sentence.h"
#include "healthmon/event_tail.h"
#include "page_parts.h"

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
    "services": [{"name": "web4", "vip": "198.51.100.1", "protocol": "tcp", "port": 80, "panic": true, "backends_total": 1, "backends_healthy": 0, "healthy_percent": 0,
     "withdraw_below_percent": 50, "backends": [
      {"name": "b1", "address": "10.0.0.1", "health": "unhealthy", "healthy": false, "resolved": true, "weight": 10,
       "weight_permille": 500, "used": true, "use_reason": "panic", "cause": "</td><script>alert(1)</script>",
       "drain": {"who": "alice", "reason": "a & b"}, "probes": [{"latency_us": 1234}]}]}],
    "announcements": [{"name": "web", "announce": false, "cause": "web4: 0 of 1 backends healthy", "prefixes":
      ["198.51.100.0/24"], "hold_down_remaining_ms": 1500, "hold": {"kind": "withdraw", "who": "bob", "reason": "<b>",
      "expires_unix_ms": null}, "problem": "exported to nobody"}]})")
      .as_object();
}

TEST(StatusPage, SaysEverythingAndEscapesIt) {
  const std::string page = status_page({.state = state()});
  for (const char* text :
       {"web is withdrawn.", "The dataplane does not forward: socket closed.", "Session t1 is down.",
        "web4: 0 of 1 backends healthy", "May return in 1.5 s", "Hold (withdraw) by bob: &lt;b&gt;",
        "Until it is released", "exported to nobody", "0 of 1 healthy",
        "0 % of the weight is healthy, withdrawn below 50 %", "Panic: too few", "1.2 ms", "data-name=\"weight\">5<",
        "drained by alice: a &amp; b", "&lt;script&gt;alert(1)", "does not tell its counters"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
}

TEST(StatusPage, TellsOfStrangersAndOfAReloadThatWasRefused) {
  boost::json::object found = state();
  found["strangers"] = boost::json::parse(R"([{"name": "old", "cause": "anypop_old_v6: up, but not in pop.yaml"}])");
  found["last_reload"] = boost::json::parse(R"({"ok": false, "error": "pop.yaml:3: found a list"})");
  const std::string page = status_page({.state = found});
  EXPECT_THAT(page, HasSubstr("anypop_old_v6: up, but not in pop.yaml"));
  EXPECT_THAT(page, HasSubstr("The last reload was refused: pop.yaml:3: found a list."));
}

TEST(StatusPage, SurvivesAStateThatHoldsNothing) { EXPECT_THAT(status_page({}), HasSubstr("</html>")); }

TEST(StatusPage, GraphsAndEvents) {
  TrafficHistory traffic;
  for (std::uint64_t i = 0; i < 5; ++i) traffic.add(stats(i * i * 1000), SteadyTime(std::chrono::seconds(i)));
  const std::deque<boost::json::object> events = {{{"event", "verdict"},
                                                   {"announcement", "web"},
                                                   {"announce", false},
                                                   {"cause", "because"},
                                                   {"unix_ns", 1'800'000'000'000'000'000}}};
  const std::string page = status_page({.state = state(), .events = &events, .traffic = &traffic});
  EXPECT_THAT(page, HasSubstr("<polyline points=\"56,32 56,26 57,18 58,10 59,2 59,32\"/>"));
  EXPECT_THAT(page, HasSubstr("7000/s packets"));
  EXPECT_THAT(page, HasSubstr("08:00:00</time><span>web is to be withdrawn: because</span>"));
  EXPECT_THAT(page, Not(HasSubstr("drop_truncated"))) << "what never happened";
}

TEST(StatusPage, ManyServicesAreLinesAndTheSickOnesFirst) {
  boost::json::array services;
  for (int i = 0; i < 500; ++i) {
    services.push_back(boost::json::object{{"name", fmt::format("web{}", i)},
                                           {"backends_total", 50},
                                           {"backends_healthy", i == 321 ? 49 : 50},
                                           {"healthy_percent", i == 321 ? 98 : 100}});
  }
  services[321].as_object()["backends"] = boost::json::array{boost::json::object{
      {"name", "b7"}, {"health", "unhealthy"}, {"cause", "connection refused"}, {"resolved", true}}};
  StatusView view{.state = {{"pop", "ams"}, {"services", services}}, .many_services = true};
  const std::string page = status_page(view);
  EXPECT_LT(page.size(), 150'000U);
  EXPECT_THAT(page, HasSubstr("web321/b7: connection refused"));
  EXPECT_LT(page.find("?service=web321\""), page.find("?service=web0\""));
  EXPECT_THAT(page, HasSubstr("and 440 more"));
  EXPECT_THAT(page, Not(HasSubstr("?service=web499\"")));
  view.whole = true;
  EXPECT_THAT(status_page(view), HasSubstr("?service=web499\""));
}

TEST(EventSentence, TellsWhatHappened) {
  const auto sentence = [](const char* event) { return event_sentence(boost::json::parse(event).as_object()); };
  EXPECT_EQ(sentence(R"({"event": "command", "announcement": "web", "level": "withdrawn", "ok": true,
                         "sent_unix_ns": 1000000, "replied_unix_ns": 2500000})"),
            "web is withdrawn in BIRD, which took 1.5 ms");
  EXPECT_EQ(
      sentence(R"({"event": "command", "announcement": "web", "level": "announced", "ok": false, "error": "gone"})"),
      "BIRD was told, but web is not announced: gone");
  EXPECT_EQ(
      sentence(R"({"event": "backend", "service": "web4", "backend": "b1", "healthy": false, "cause": "timeout"})"),
      "web4/b1 is unhealthy: timeout");
  EXPECT_EQ(
      sentence(R"({"event": "hold", "announcement": "web", "kind": "withdraw", "who": "alice", "reason": "disk"})"),
      "alice placed a withdraw hold on web: disk");
  EXPECT_EQ(sentence(R"({"event": "release", "announcement": "web", "kind": "drain", "cause": "expired"})"),
            "The drain hold on web has expired");
  EXPECT_EQ(sentence(R"({"event": "session", "session": "t1", "established": false, "cause": "Idle"})"),
            "BGP session t1 is down: Idle");
  EXPECT_EQ(sentence(R"({"event": "bird-configure", "count": 7, "last_reconfiguration": "10:00:00"})"),
            "Somebody had BIRD read its configuration again, at least 7 times, last at 10:00:00");
  EXPECT_EQ(sentence(R"({"event": "bird", "reachable": false, "cause": "BIRD hangs"})"),
            "BIRD does not answer: BIRD hangs");
  EXPECT_EQ(sentence(R"({"event": "new-thing", "announcement": "web", "unix_ns": 5})"),
            "event=new-thing announcement=web");
  EXPECT_EQ(sentence("{}"), "");
}

TEST(DurationText, FitsWhatItMeasures) {
  EXPECT_EQ(duration_text(1500), "1.5 s");
  EXPECT_EQ(duration_text(45'000), "45 s");
  EXPECT_EQ(duration_text(12 * 60'000 + 1), "12 min");
  EXPECT_EQ(duration_text(200 * 60'000), "3 h 20 min");
  EXPECT_EQ(duration_text(52LL * 3600 * 1000), "2 d 4 h");
}

class EventTailTest : public testing::Test {
 protected:
  void append(const std::string& text) { std::ofstream(file_, std::ios::app) << text; }
  ~EventTailTest() override { std::filesystem::remove(file_); }
  std::filesystem::path file_ = testing::TempDir() + fmt::format("events-{}.jsonl", ::getpid());
};

TEST_F(EventTailTest, ReadsWhatComesAndFollowsARotation) {
  EventTail tail(file_);
  tail.refresh();
  EXPECT_TRUE(tail.events().empty()) << "there is no file";
  append("{\"event\": \"a\"}\nnot json\n{\"event\"");
  tail.refresh();
  ASSERT_EQ(tail.events().size(), 1U);
  append(": \"b\"}\n");
  tail.refresh();
  ASSERT_EQ(tail.events().size(), 2U) << "the rest of a line";
  EXPECT_EQ(tail.events().back().at("event").as_string(), "b");
  std::filesystem::rename(file_, file_.string() + ".1");
  append("{\"event\": \"c\"}\n");
  tail.refresh();
  EXPECT_EQ(tail.events().back().at("event").as_string(), "c");
  EXPECT_EQ(tail.events().size(), 3U);
  std::filesystem::remove(file_.string() + ".1");
}

TEST_F(EventTailTest, IsBounded) {
  std::string much;
  for (int i = 0; i < 10'000; ++i) much += fmt::format("{{\"event\": \"e{}\"}}\n", i);
  append(much);
  EventTail tail(file_);
  tail.refresh();
  ASSERT_EQ(tail.events().size(), EventTail::kEvents);
  EXPECT_EQ(tail.events().back().at("event").as_string(), "e9999");
}

}  // namespace
}  // namespace anypop::healthmon
