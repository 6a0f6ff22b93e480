// SPDX-License-Identifier: Apache-2.0
#include "healthmon/monitor_core.h"

#include "monitor_core_fixture.h"

namespace anypop::healthmon {
namespace {

TEST_F(MonitorCoreTest, AVerdictAndItsCommandAreOneStep) {
  reach_announced();
  probe(0, false);
  EXPECT_THAT(probe(0, false), ElementsAre("backend", "health b1- b2+")) << "half is enough";
  core.on_health_pushed(absl::OkStatus(), now());
  EXPECT_THAT(probe(1, false), IsEmpty());
  EXPECT_THAT(probe(1, false), ElementsAre("backend", "verdict", "set-", "health b1- b2-"));
}

// Probes through the dataplane, each of which takes 50 ms to fail.
class ThroughTheDataplane : public MonitorCoreTest {
 protected:
  ThroughTheDataplane() { config.services[0].probes[0].via = ProbeVia::kDataplane; }
  Words lose(std::size_t backend, Evidence evidence = Evidence::kSilence) {
    const ProbeResult result{.ok = false, .cause = "timeout after 50 ms", .evidence = evidence, .latency = 50ms};
    return words(core.on_probe({0, backend}, result, now()));
  }
};

TEST_F(ThroughTheDataplane, ItsRestartSaysNothingAboutTheBackends) {
  reach_announced();
  ms = 1000;
  dataplane.planned_restart_ms = 2000;
  beat();
  for (int i = 0; i < 5; ++i) EXPECT_THAT(lose(0), testing::Not(testing::Contains("backend")));
  ms = 1200;
  dataplane.restart();
  beat();
  state();
  ms = 1240;
  for (int i = 0; i < 5; ++i)
    EXPECT_THAT(lose(0), testing::Not(testing::Contains("backend"))) << "sent before it was back";
  EXPECT_TRUE(core.decision(0).announced());
  ms = 1300;
  beat();
  lose(0);
  EXPECT_THAT(lose(0), testing::Contains("backend")) << "sent since then";
}

TEST_F(ThroughTheDataplane, WhatTheBackendItselfAnsweredIsBelieved) {
  reach_announced();
  dataplane.planned_restart_ms = 2000;
  beat();
  lose(0, Evidence::kAnswered);
  EXPECT_THAT(lose(0, Evidence::kAnswered), testing::Contains("backend"));
}

TEST_F(ThroughTheDataplane, ADeadDataplaneIsNoReasonToThinkIllOfBackends) {
  reach_announced();
  ms = 1000;
  core.on_heartbeat(absl::UnavailableError("refused"), now());
  EXPECT_FALSE(core.decision(0).announced());
  for (const std::size_t backend : {0U, 1U, 0U, 1U, 0U, 1U}) {
    EXPECT_THAT(lose(backend), testing::Not(testing::Contains("backend")));
  }
}

TEST_F(ThroughTheDataplane, AFirstRoundEndsWithoutADataplane) {
  holds(std::nullopt);
  look();
  for (const std::size_t backend : {0U, 1U, 0U, 1U})
    EXPECT_THAT(lose(backend), testing::Not(testing::Contains("backend")));
  core.on_heartbeat(absl::UnavailableError("refused"), now());
  lose(0);
  lose(0);
  lose(1);
  lose(1);
  EXPECT_FALSE(core.decision(0).as_found) << "the first round is over";
  EXPECT_FALSE(core.decision(0).announced());
}

TEST_F(ThroughTheDataplane, SilentBackendsBehindAWorkingDataplaneAreDown) {
  config.monitor.second_opinion = false;
  reach_announced();
  ms = 1000;
  beat();
  lose(0);
  lose(0);
  lose(1);
  EXPECT_THAT(lose(1), testing::Contains("verdict"));
  EXPECT_FALSE(core.decision(0).announced());
}

TEST_F(MonitorCoreTest, AWithdrawalDoesNotWaitForACommandUnderWay) {
  reach_announced();
  bird.set_protocols(0, false);
  ms = 1000;
  beat();
  core.on_time(now());
  EXPECT_THAT(look(), ElementsAre("drift: not in BIRD's table", "set+"));
  EXPECT_THAT(words(core.on_heartbeat(absl::UnavailableError("refused"), now())),
              ElementsAre("dataplane", "verdict", "set-"));
  EXPECT_THAT(set(true), testing::Not(testing::Contains(testing::StartsWith("set"))));
  EXPECT_THAT(set(false), ElementsAre("command: ")) << "the look has been ordered already, and comes after it";
  EXPECT_EQ(bird.level(0), Level::kWithdrawn);
  EXPECT_THAT(look(), IsEmpty());
}

TEST_F(MonitorCoreTest, ATableThatIsStillChangingIsLookedAtAgainFirst) {
  reach_announced();
  core.on_heartbeat(absl::UnavailableError("refused"), now());
  set(false);
  bird.set_protocols(0, true);  // still flushing
  EXPECT_THAT(look(), IsEmpty());
  EXPECT_EQ(core.next_wake(), now().steady + 100ms);
  ms += 100;
  EXPECT_THAT(words(core.on_time(now())), ElementsAre("look"));
  EXPECT_THAT(look(), IsEmpty());
  ms += 210;
  EXPECT_THAT(words(core.on_time(now())), ElementsAre("set-", "look")) << "no drift: it never was in place";
}

TEST_F(MonitorCoreTest, AFailedCommandIsTriedAgainEverySecondAndSaidOnce) {
  reach_announced();
  core.on_heartbeat(absl::UnavailableError("refused"), now());
  const bgpctl::SetResult failed{.status = absl::ResourceExhaustedError("disk full")};
  EXPECT_THAT(words(core.on_set({0, Level::kWithdrawn}, failed, Level::kAnnounced, now())),
              ElementsAre("command: disk full"));
  EXPECT_EQ(core.next_wake(), now().steady + 1s);
  for (int i = 0; i < 3; ++i) {
    ms += 999;
    EXPECT_THAT(words(core.on_time(now())), testing::Not(testing::Contains("set-")));
    ms += 1;
    EXPECT_THAT(words(core.on_time(now())), testing::Contains("set-"));
    EXPECT_THAT(words(core.on_set({0, Level::kWithdrawn}, failed, Level::kAnnounced, now())), IsEmpty());
  }
  ms += 1000;
  core.on_time(now());
  look();
  EXPECT_THAT(set(false), ElementsAre("command: ", "look"));
}

TEST_F(MonitorCoreTest, ANewDataplaneIsToldEverythingAndAskedForItsNextHops) {
  reach_announced();
  dataplane.restart();
  EXPECT_THAT(beat(), ElementsAre("state", "health b1+ b2+"));
}

TEST_F(MonitorCoreTest, ADataplaneThatThinksOtherwiseIsToldAgain) {
  reach_announced();
  (void)dataplane.take_health({.backends = {{"web4", "b2", false}}});
  ms += 150;
  EXPECT_THAT(beat(), ElementsAre("state")) << "its generation has changed";
  EXPECT_THAT(state(), ElementsAre("health b1+ b2+"));
  ms += 10;
  EXPECT_THAT(words(core.on_health_pushed(absl::DeadlineExceededError("no answer in time"), now())),
              ElementsAre("note"));
  ms += 100;
  EXPECT_THAT(words(core.on_time(now())), testing::Contains("health b1+ b2+"));
}

TEST_F(MonitorCoreTest, AHoldThatCannotBeReadLeavesTheOrderInForce) {
  reach_announced();
  const bgpctl::Hold order{.reason = "maintenance", .who = "alice"};
  EXPECT_THAT(holds(order), ElementsAre("verdict", "set-"));
  set(false);
  EXPECT_THAT(holds(absl::InvalidArgumentError("web.json: found no JSON object")), ElementsAre("hold-file"));
  EXPECT_THAT(holds(absl::InvalidArgumentError("web.json: found no JSON object")), IsEmpty()) << "said once";
  EXPECT_FALSE(core.decision(0).announced());
  EXPECT_THAT(std::string(core.state_json(now()).at("announcements").at(0).at("hold_error").as_string()),
              HasSubstr("web.json"));
  EXPECT_THAT(holds(std::nullopt), testing::Contains("set+"));
}

TEST_F(MonitorCoreTest, AnUnreadableHoldAtStartAnnouncesNothing) {
  holds(absl::InvalidArgumentError("web.json: found no JSON object"));
  core.on_time(now());
  look();
  beat();
  state();
  probe(0, true);
  EXPECT_THAT(probe(1, true), testing::Not(testing::Contains("set+")));
  EXPECT_TRUE(core.first_round_done());
  EXPECT_THAT(core.decision(0).cause, HasSubstr("the hold file cannot be read"));
  EXPECT_THAT(holds(std::nullopt), testing::Contains("set+"));
}

TEST_F(MonitorCoreTest, AnExpiredHoldIsWrittenDown) {
  reach_announced();
  holds(bgpctl::Hold{.reason = "maintenance", .who = "alice", .expires_unix_ms = now().unix_ms + 10});
  ms += 20;
  EXPECT_THAT(holds(std::nullopt), ElementsAre("release", "verdict"));
}

TEST_F(MonitorCoreTest, ExportedToNobodyIsReportedOnceItLasts) {
  reach_announced();
  auto view = *bird.look();
  view.sessions["transit1"].prefixes.clear();
  Words said;
  const auto hear = [&](const Words& heard) { said.insert(said.end(), heard.begin(), heard.end()); };
  for (int i = 0; i < 10; ++i) {
    ms += 1000;
    hear(beat());
    hear(words(core.on_time(now())));
    hear(state());
    hear(words(core.on_bird(view, bird.state_files(), now())));
  }
  std::erase_if(said, [](const std::string& text) { return text == "look" || text == "state"; });
  EXPECT_THAT(said,
              ElementsAre(HasSubstr("in BIRD's table but exported to nobody; check the export filter of transit1")));
}

TEST_F(MonitorCoreTest, ProbesAreFasterWhileAVerdictIsNear) {
  EXPECT_EQ(core.probe_interval({0, 0}), 500ms);
  probe(0, true);
  EXPECT_EQ(core.probe_interval({0, 0}), 1000ms);
  probe(0, false);
  EXPECT_EQ(core.probe_interval({0, 0}), 500ms);
  probe(0, false);
  EXPECT_EQ(core.probe_interval({0, 0}), 1000ms);
}

TEST_F(MonitorCoreTest, SilenceOfTheDataplaneWithdrawsOnTime) {
  reach_announced();
  EXPECT_EQ(core.next_wake(), now().steady + 200ms);
  ms += 200;
  EXPECT_THAT(words(core.on_time(now())), ElementsAre("dataplane", "verdict", "set-"));
}

TEST_F(MonitorCoreTest, APlannedRestartKeepsTheAnnouncementAndTheNewProcessIsToldEverything) {
  reach_announced();
  dataplane.planned_restart_ms = 1000;
  EXPECT_THAT(beat(), ElementsAre("dataplane-restart"));
  dataplane.process = sim::ProcessState::kDead;
  for (int i = 0; i < 18; ++i, ms += 50) {
    EXPECT_THAT(beat(), testing::Not(testing::Contains(testing::StartsWith("set"))));
  }
  dataplane.restart();
  EXPECT_THAT(beat(), testing::IsSupersetOf({"health b1+ b2+"}));
  EXPECT_THAT(core.state_json(now()).at("announcements").at(0).at("state_file"), "announced");

  dataplane.planned_restart_ms = 1000;
  beat();
  dataplane.process = sim::ProcessState::kDead;
  beat();
  ms += 999;
  EXPECT_THAT(words(core.on_time(now())), testing::Not(testing::Contains("set-")));
  ms += 1;
  EXPECT_THAT(words(core.on_time(now())), testing::IsSupersetOf({"dataplane", "verdict", "set-"}));
}

TEST_F(MonitorCoreTest, SilenceOfEverythingIsAskedAboutTwice) {
  reach_announced();
  const auto silent = [&](std::size_t backend) {
    return words(core.on_probe({0, backend}, {false, "timeout", Evidence::kSilence}, now()));
  };
  silent(0);
  silent(1);
  EXPECT_THAT(silent(0), ElementsAre("second-opinion"));
  EXPECT_EQ(core.health({0, 0}), Health::kHealthy);
  EXPECT_EQ(core.probe_interval({0, 1}), 500ms) << "asked again, fast";
  EXPECT_THAT(silent(0), IsEmpty());
  EXPECT_THAT(silent(1), IsEmpty());
  EXPECT_THAT(silent(0), testing::Contains("backend")) << "the second verdict is believed";
  EXPECT_THAT(silent(1), testing::Contains("set-"));
}

TEST_F(MonitorCoreTest, AnAnswerOfAnyKindIsNoSilence) {
  reach_announced();
  probe(1, false);  // refused
  core.on_probe({0, 0}, {false, "timeout", Evidence::kSilence}, now());
  EXPECT_THAT(words(core.on_probe({0, 0}, {false, "timeout", Evidence::kSilence}, now())),
              ElementsAre("backend", "health b1- b2+"));
}

TEST_F(MonitorCoreTest, ADrainedBackendIsNoCapacityAndGetsNoNewFlows) {
  reach_announced();
  const DrainOrder first{"web4", "b1", "disk swap", "alice", 0, {}};
  const Actions actions = core.on_drains(std::vector{first}, now());
  EXPECT_THAT(words(actions), ElementsAre("drain-backend", "health b1+ b2+"));
  EXPECT_EQ(std::get<PushHealth>(actions.back()).update.backends[0].weight_permille, 0U);
  EXPECT_THAT(words(core.on_drains(std::vector{first}, now())), IsEmpty()) << "a level";
  EXPECT_THAT(words(core.on_drains(absl::UnavailableError("cannot read"), now())), ElementsAre("note"));
  core.on_health_pushed(absl::OkStatus(), now());
  EXPECT_TRUE(core.decision(0).announced()) << "half is enough";
  const auto all = words(core.on_drains(std::vector<DrainOrder>{first, {"web4", "b2", "", "", 0, {}}}, now()));
  EXPECT_THAT(all, ElementsAre("drain-backend", "verdict", "set-", testing::StartsWith("health")));
  EXPECT_THAT(core.decision(0).cause, HasSubstr("0 of 2 backends"));
}

TEST(MonitorCoreOfTwoAnnouncements, WhenOneFailsTheOtherIsNotTouched) {
  PopConfig config = small_pop();
  config.services.push_back({.name = "mail4", .backends = {{.name = "m1"}}, .probes = {{.rise = 1, .fall = 2}}});
  config.announcements.push_back(
      {.name = "mail", .prefixes = {*IpPrefix::parse("203.0.113.0/24")}, .services = {"mail4"}});
  sim::BirdModel bird(config);
  sim::DataplaneModel dataplane(config);
  const Now now{SteadyTime(1h), 1'800'000'000'000};
  MonitorCore core(config, bird.state_files(), {}, now);
  std::vector<std::size_t> ordered;
  const auto take = [&](const Actions& actions) {
    for (const Action& action : actions) {
      if (const auto* set = std::get_if<SetAnnouncement>(&action)) ordered.push_back(set->announcement);
    }
  };
  const auto probe = [&](ProbeId id, bool ok) {
    take(core.on_probe(id, {ok, ok ? "HTTP 200" : "connection refused"}, now));
  };
  take(core.on_holds(Holds{std::optional<bgpctl::Hold>(), std::optional<bgpctl::Hold>()}, now));
  take(core.on_time(now));
  take(core.on_bird(bird.look(), bird.state_files(), now));
  take(core.on_heartbeat(dataplane.heartbeat(), now));
  take(core.on_dataplane_state(dataplane.state(), now));
  for (const ProbeId id : {ProbeId{0, 0}, ProbeId{0, 1}, ProbeId{1, 0}}) probe(id, true);
  for (const std::size_t one : {0U, 1U}) {
    ASSERT_TRUE(core.decision(one).announced()) << core.decision(one).cause;
    const auto result = bird.set(one, Level::kAnnounced, false);
    take(core.on_set({one, Level::kAnnounced}, result, bird.files[one], now));
  }
  take(core.on_bird(bird.look(), bird.state_files(), now));

  ordered.clear();
  for (int i = 0; i < 2; ++i) probe({0, 0}, false), probe({0, 1}, false);
  EXPECT_THAT(ordered, ElementsAre(0U)) << "one command, for the one that fails";
  EXPECT_FALSE(core.decision(0).announced());
  const auto result = bird.set(0, Level::kWithdrawn, false);
  take(core.on_set({0, Level::kWithdrawn}, result, bird.files[0], now));
  take(core.on_bird(bird.look(), bird.state_files(), now));
  EXPECT_THAT(ordered, ElementsAre(0U));
  EXPECT_TRUE(core.decision(1).announced()) << core.decision(1).cause;
}

TEST_F(MonitorCoreTest, SlowStartMovesWithTime) {
  config.services[0].slow_start_ms = 10'000;
  reach_announced();
  probe(0, false);
  probe(0, false);
  core.on_health_pushed(absl::OkStatus(), now());
  const Actions back = core.on_probe({0, 0}, {true, "HTTP 200"}, now());
  EXPECT_THAT(words(back), testing::Contains("health b1+ b2+"));
  EXPECT_EQ(std::get<PushHealth>(back.back()).update.backends[0].weight_permille, 100U);
  core.on_health_pushed(absl::OkStatus(), now());
  ms += 1000;
  const Actions later = core.on_heartbeat(dataplane.heartbeat(), now());
  const auto push = std::find_if(later.begin(), later.end(),
                                 [](const Action& action) { return std::holds_alternative<PushHealth>(action); });
  ASSERT_NE(push, later.end());
  EXPECT_EQ(std::get<PushHealth>(*push).update.backends[0].weight_permille, 200U);
}

TEST_F(MonitorCoreTest, AnUndrainedBackendStartsSlowly) {
  config.services[0].slow_start_ms = 10'000;
  reach_announced();
  const auto weight = [&](const Actions& actions) {
    const auto push =
        std::ranges::find_if(actions, [](const Action& action) { return std::holds_alternative<PushHealth>(action); });
    core.on_health_pushed(absl::OkStatus(), now());
    return push == actions.end() ? 9999U : std::get<PushHealth>(*push).update.backends[0].weight_permille;
  };
  const std::vector<DrainOrder> order{{"web4", "b1", "disk swap", "alice", 0, {}}};
  EXPECT_EQ(weight(core.on_drains(order, now())), 0U);
  EXPECT_EQ(weight(core.on_drains(std::vector<DrainOrder>{}, now())), 100U);
  ms += 1000;
  EXPECT_EQ(weight(core.on_heartbeat(dataplane.heartbeat(), now())), 200U);
  ms += 8000;
  EXPECT_EQ(weight(core.on_heartbeat(dataplane.heartbeat(), now())), 1000U);
  EXPECT_EQ(weight(core.on_drains(order, now())), 0U) << "an order is obeyed at once";
}

}  // namespace
}  // namespace anypop::healthmon
