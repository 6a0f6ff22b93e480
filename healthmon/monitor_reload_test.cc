// SPDX-License-Identifier: Apache-2.0
// Another configuration while the monitor runs: what did not change must not notice.
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "healthmon/monitor_core.h"
#include "sim_models.h"

namespace anypop::healthmon {
namespace {

using bgpctl::Level;

PopConfig small_pop() {
  PopConfig config;
  const ProbeConfig probe{.name = "http", .rise = 2, .fall = 3};
  config.services = {{.name = "web4", .backends = {{.name = "b1"}, {.name = "b2"}}, .probes = {probe}},
                     {.name = "dns", .backends = {{.name = "d1"}}, .probes = {probe}}};
  config.announcements = {
      {.name = "web", .prefixes = {*IpPrefix::parse("198.51.100.0/24")}, .services = {"web4"}, .hold_down_ms = 60'000},
      {.name = "dns", .prefixes = {*IpPrefix::parse("192.0.2.0/24")}, .services = {"dns"}}};
  return config;
}

class ReloadTest : public testing::Test {
 protected:
  ReloadTest() {
    core.on_holds(Holds(2, std::optional<bgpctl::Hold>()), now());
    look();
    beat();
    for (int i = 0; i < 2; ++i) {
      for (const BackendId id : {BackendId{0, 0}, BackendId{0, 1}, BackendId{1, 0}}) probe(id, true);
    }
    EXPECT_EQ(core.decision(0).level, Level::kAnnounced);
    EXPECT_EQ(core.decision(1).level, Level::kAnnounced);
  }

  Now now() const { return {SteadyTime(std::chrono::hours(1)) + Milliseconds(ms), 1'800'000'000'000 + ms}; }
  Actions probe(BackendId id, bool ok) {
    return core.on_probe({id.service, id.backend}, {ok, ok ? "HTTP 200" : "connection refused"}, now());
  }
  void look() { core.on_bird(bird->look(), bird->state_files(), now()); }
  void beat() {
    core.on_heartbeat(dataplane->heartbeat(), now());
    core.on_dataplane_state(dataplane->state(), now());
  }
  Actions reload(PopConfig next) {
    const PopConfig before = std::exchange(config, std::move(next));
    bird.emplace(config);
    dataplane.emplace(config);
    return core.on_reload(before, bird->state_files(), Dampings(config.announcements.size()), now());
  }
  bool sends(const Actions& actions) const {
    return std::any_of(actions.begin(), actions.end(),
                       [](const Action& action) { return std::holds_alternative<SetAnnouncement>(action); });
  }
  static std::string cause(const MonitorCore& core, std::size_t i) { return core.decision(i).cause; }

  PopConfig config = small_pop();
  int ms = 0;
  std::optional<sim::BirdModel> bird{std::in_place, config};
  std::optional<sim::DataplaneModel> dataplane{std::in_place, config};
  MonitorCore core{config, bird->state_files(), {}, now()};
};

TEST_F(ReloadTest, CountsGoOnAndSoDoesHealth) {
  probe({0, 0}, false);
  probe({0, 0}, false);
  PopConfig next = config;
  std::swap(next.services[0], next.services[1]);
  std::swap(next.announcements[0], next.announcements[1]);
  next.services[1].probes[0].interval_ms = 50;
  reload(next);
  EXPECT_EQ(core.health({1, 0}), Health::kHealthy);
  EXPECT_EQ(core.decision(1).level, Level::kAnnounced);
  probe({1, 0}, false);
  EXPECT_EQ(core.health({1, 0}), Health::kUnhealthy) << "the third in a row";
  EXPECT_EQ(core.health({1, 1}), Health::kHealthy);
  EXPECT_EQ(core.health({0, 0}), Health::kHealthy);
}

TEST_F(ReloadTest, OtherThresholdsJudgeTheSameCounts) {
  probe({0, 0}, false);
  PopConfig next = config;
  next.services[0].probes[0].fall = 2;
  reload(next);
  probe({0, 0}, false);
  EXPECT_EQ(core.health({0, 0}), Health::kUnhealthy);
}

TEST_F(ReloadTest, AProbeThatAsksSomethingElseBeginsAnewAndTheVerdictStays) {
  probe({0, 0}, false);
  probe({0, 0}, false);
  PopConfig next = config;
  next.services[0].probes[0].http.path = "/other";
  reload(next);
  EXPECT_EQ(core.health({0, 0}), Health::kHealthy);
  EXPECT_EQ(core.decision(0).level, Level::kAnnounced);
  probe({0, 0}, false);
  EXPECT_EQ(core.health({0, 0}), Health::kHealthy) << "the first of the new question";
  probe({0, 0}, false);
  probe({0, 0}, false);
  EXPECT_EQ(core.health({0, 0}), Health::kUnhealthy);
}

TEST_F(ReloadTest, NewBackendsNeitherHelpNorHarmUntilTheyHaveAVerdict) {
  PopConfig next = config;
  for (const char* name : {"b3", "b4", "b5"}) next.services[0].backends.push_back({.name = name});
  EXPECT_FALSE(sends(reload(next)));
  EXPECT_EQ(core.decision(0).level, Level::kAnnounced) << cause(core, 0);
  EXPECT_EQ(core.health({0, 2}), Health::kUnknown);
  for (const std::size_t b : {2U, 3U, 4U}) {
    for (int i = 0; i < 3; ++i) probe({0, b}, false);
  }
  EXPECT_EQ(core.decision(0).level, Level::kWithdrawn);
  EXPECT_EQ(cause(core, 0), "web4: 2 of 5 backends healthy (40 %), 50 % wanted");
}

TEST_F(ReloadTest, ABackendAtAnotherAddressIsAnother) {
  PopConfig next = config;
  next.services[0].backends[1].address = *IpAddress::parse("10.0.0.9");
  reload(next);
  EXPECT_EQ(core.health({0, 0}), Health::kHealthy);
  EXPECT_EQ(core.health({0, 1}), Health::kUnknown);
  EXPECT_EQ(core.decision(0).level, Level::kAnnounced);
}

TEST_F(ReloadTest, WhenEveryBackendIsNewWhatIsAnnouncedStays) {
  PopConfig next = config;
  next.services[0].backends = {{.name = "n1"}, {.name = "n2"}};
  reload(next);
  EXPECT_EQ(core.decision(0).level, Level::kAnnounced);
  EXPECT_EQ(cause(core, 0), "as found at the start, until the first full round is complete: web4 has no verdict yet");
  for (const std::size_t b : {0U, 1U}) {
    for (int i = 0; i < 3; ++i) probe({0, b}, false);
  }
  EXPECT_EQ(core.decision(0).level, Level::kWithdrawn);
}

TEST_F(ReloadTest, AHoldDownGoesOn) {
  for (const std::size_t b : {0U, 1U}) {
    for (int i = 0; i < 3; ++i) probe({0, b}, false);
  }
  for (const std::size_t b : {0U, 1U}) {
    for (int i = 0; i < 2; ++i) probe({0, b}, true);
  }
  EXPECT_EQ(core.decision(0).hold_down_remaining, std::chrono::seconds(60));
  ms = 100;
  PopConfig next = config;
  std::swap(next.announcements[0], next.announcements[1]);
  next.announcements[0].min_healthy_percent = 60;
  reload(next);
  EXPECT_EQ(core.decision(1).hold_down_remaining, Milliseconds(59'900));
  EXPECT_EQ(core.decision(1).memory.damping.flaps, 1U);
}

TEST_F(ReloadTest, ANewConditionIsJudgedByWhatIsKnown) {
  PopConfig next = config;
  next.announcements[0].min_sessions = 1;
  EXPECT_FALSE(sends(reload(next)));
  EXPECT_EQ(core.decision(0).level, Level::kAnnounced) << cause(core, 0);
}

TEST_F(ReloadTest, AHoldStays) {
  Holds held(2, std::optional<bgpctl::Hold>());
  held[0] = bgpctl::Hold{.kind = bgpctl::HoldKind::kWithdraw, .reason = "work", .who = "alice"};
  core.on_holds(held, now());
  EXPECT_EQ(core.decision(0).level, Level::kWithdrawn);
  reload(PopConfig(config));
  EXPECT_EQ(cause(core, 0), "held out by alice: work");
}

TEST_F(ReloadTest, ANewAnnouncementWaitsForItsOrderAndItsRound) {
  PopConfig next = config;
  next.services.push_back({.name = "mail", .backends = {{.name = "m1"}}, .probes = config.services[0].probes});
  next.announcements.push_back(
      {.name = "mail", .prefixes = {*IpPrefix::parse("203.0.113.0/24")}, .services = {"mail"}});
  reload(next);
  beat();
  probe({2, 0}, true);
  probe({2, 0}, true);
  EXPECT_EQ(core.decision(2).level, Level::kWithdrawn) << "an order that nobody has read yet may be a withdrawal";
  core.on_holds(Holds(3, std::optional<bgpctl::Hold>()), now());
  beat();
  EXPECT_EQ(core.decision(2).level, Level::kAnnounced) << cause(core, 2);
}

TEST_F(ReloadTest, AnAnnouncementThatIsGoneIsWithdrawnAndForgotten) {
  PopConfig next = config;
  next.announcements.erase(next.announcements.begin());
  const Actions actions = reload(next);
  EXPECT_TRUE(std::any_of(actions.begin(), actions.end(), [](const Action& action) {
    const auto* stranger = std::get_if<WithdrawStranger>(&action);
    return stranger != nullptr && stranger->announcement.name == "web" && stranger->announcement.prefixes.size() == 1;
  }));
  EXPECT_EQ(core.state_json(now()).at("announcements").as_array().size(), 1U);
  EXPECT_EQ(core.decision(0).level, Level::kAnnounced);
}

TEST_F(ReloadTest, WhatComesBackIsAStrangerNoMore) {
  const PopConfig both = config;
  PopConfig next = config;
  next.announcements.erase(next.announcements.begin());
  reload(next);
  EXPECT_EQ(core.state_json(now()).at("strangers").as_array().size(), 1U);
  reload(both);
  EXPECT_EQ(core.state_json(now()).at("strangers").as_array().size(), 0U);
  core.on_stranger_set("web", {}, now());
  EXPECT_EQ(core.state_json(now()).at("strangers").as_array().size(), 0U) << "its answer comes late";
}

}  // namespace
}  // namespace anypop::healthmon
