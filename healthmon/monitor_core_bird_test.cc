// SPDX-License-Identifier: Apache-2.0
// What becomes of BIRD, of what it should not have, and of the ports.
#include "monitor_core_fixture.h"

namespace anypop::healthmon {
namespace {

// Its protocols stay up although BIRD was told: half of it reached a BIRD that hung.
TEST_F(MonitorCoreTest, WhatIsNotInPopYamlIsWithdrawnUntilBirdConfirmsIt) {
  reach_announced();
  ms = 100;
  bird.leave_behind();
  EXPECT_THAT(look(), ElementsAre("drift: anypop_old_v4, anypop_old_v6: up, but not in pop.yaml",
                                  "withdraw old of 2 families"));
  const auto answer = [&](const absl::Status& status) {
    return words(core.on_stranger_set("old", {.status = status}, now()));
  };
  EXPECT_THAT(answer(absl::DeadlineExceededError("BIRD hangs")), ElementsAre("command: BIRD hangs"));
  ms = 150;
  EXPECT_THAT(look(), IsEmpty()) << "once a second";
  ms = 1200;
  const Words again = look();
  EXPECT_THAT(again, testing::Contains("withdraw old of 2 families"));
  EXPECT_THAT(again, testing::Not(testing::Contains(HasSubstr("drift")))) << "said once";
  bird.withdraw_old(true, false);
  EXPECT_THAT(answer(absl::OkStatus()), testing::IsSupersetOf({"command: ", "look"}));
  EXPECT_EQ(core.state_json(now()).at("strangers").at(0).at("cause").as_string(),
            "anypop_old_v4, anypop_old_v6: up, but not in pop.yaml");
  look();
  EXPECT_TRUE(core.state_json(now()).at("strangers").as_array().empty());
}

TEST_F(MonitorCoreTest, ALeftoverStateFileIsMendedWithoutBird) {
  reach_announced();
  ms = 100;
  bird.process = sim::ProcessState::kDead;
  core.on_leftover_files({"old"});
  EXPECT_THAT(look(), testing::Contains("withdraw old of 0 families"));
  core.on_leftover_files({});
  EXPECT_THAT(words(core.on_stranger_set("old", {}, now())), ElementsAre("command: ", "look"));
  look();
  EXPECT_EQ(core.state_json(now()).at("strangers").as_array().size(), 1U) << "BIRD has not confirmed it";
  bird.restart();
  look();
  EXPECT_TRUE(core.state_json(now()).at("strangers").as_array().empty());
}

// Only the family is gone: one state file is both families', so a command would take the other one as well.
TEST_F(MonitorCoreTest, AProtocolOfAFamilyThatIsGoneIsReported) {
  reach_announced();
  ms = 100;
  auto view = bird.look();
  view->protocols["anypop_web_v6"] = view->protocols["anypop_else"] = {"Static", "up", ""};
  const auto told = words(core.on_bird(view, bird.state_files(), now()));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_THAT(told[0], HasSubstr("anypop_web_v6 is up, but its announcement has no such prefix in pop.yaml"));
  EXPECT_EQ(core.state_json(now()).at("strangers").at(0).at("name").as_string(), "web");
  EXPECT_TRUE(core.decision(0).announced());
}

TEST_F(MonitorCoreTest, WhatHappensToBirdIsWrittenDown) {
  reach_announced();
  const auto look_at = [&](std::string_view name) {
    ms += 1000;
    return records(core.on_bird(bird.look(), bird.state_files(), now()), name);
  };
  bird.process = sim::ProcessState::kDead;
  ASSERT_EQ(look_at("bird").size(), 1U);
  EXPECT_TRUE(look_at("bird").empty()) << "changes only";
  bird.restart();
  ms += 1000;
  const Actions back = core.on_bird(bird.look(), bird.state_files(), now());
  ASSERT_EQ(records(back, "bird").size(), 1U);
  EXPECT_EQ(records(back, "bird")[0].at("reachable"), true);
  EXPECT_EQ(records(back, "bird-restart").size(), 1U);
  EXPECT_TRUE(records(back, "bird-configure").empty()) << "a start is no configure";
  bird.sessions_up[0] = false;
  const auto down = look_at("session");
  ASSERT_EQ(down.size(), 1U);
  EXPECT_EQ(down[0].at("session").as_string(), "transit1");
  EXPECT_EQ(down[0].at("established"), false);
  bird.sessions_up = {true, true};
  EXPECT_EQ(look_at("session").size(), 2U) << "one is back, one is new";
  bird.sessions_up.pop_back();
  const auto gone = look_at("session");
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0].at("cause").as_string(), "BIRD has it no more");
}

// Down and up between two looks: a session does not outlive its BIRD.
TEST_F(MonitorCoreTest, ARestartTakesItsSessionsWithItHoweverSoonTheyAreBack) {
  reach_announced();
  bird.restart();
  ms += 1000;
  const auto sessions = records(core.on_bird(bird.look(), bird.state_files(), now()), "session");
  const std::size_t established = bird.established();
  ASSERT_GT(established, 0U);
  ASSERT_EQ(sessions.size(), 2 * established);
  for (std::size_t at = 0; at < established; ++at) {
    EXPECT_EQ(sessions[at].at("established"), false);
    EXPECT_EQ(sessions[at].at("cause").as_string(), "BIRD was restarted");
    EXPECT_EQ(sessions[established + at].at("established"), true);
  }
}

TEST_F(MonitorCoreTest, AStormOfConfiguresIsFewLinesWithTheirNumber) {
  reach_announced();
  std::size_t lines = 0;
  std::uint64_t counted = 0;
  for (int second = 0; second < 35; ++second) {
    ms += 1000;
    if (second < 30) bird.configure();
    for (const auto& line : records(core.on_bird(bird.look(), bird.state_files(), now()), "bird-configure")) {
      ++lines;
      counted += line.at("count").to_number<std::uint64_t>();
    }
  }
  EXPECT_EQ(lines, 4U) << "the first at once, then one in ten seconds";
  EXPECT_EQ(counted, 30U);
}

// BIRD reckons these times back from now at each look.
TEST_F(MonitorCoreTest, AMillisecondIsNeitherARestartNorAConfigure) {
  reach_announced();
  const auto told = [&](const std::string& rebooted, const std::string& configured) {
    ms += 1000;
    auto view = bird.look();
    view->instances[0].last_reboot = rebooted;
    view->instances[0].last_reconfiguration = configured;
    const Actions actions = core.on_bird(view, bird.state_files(), now());
    return std::pair(records(actions, "bird-restart").size(), records(actions, "bird-configure").size());
  };
  using Times = std::pair<std::size_t, std::size_t>;
  told("2026-11-26 21:24:37.776", "2026-11-26 21:24:37.776");
  EXPECT_EQ(told("2026-11-26 21:24:37.777", "2026-11-26 21:24:37.776"), Times(0, 0));
  EXPECT_EQ(told("2026-11-26 21:24:37.776", "2026-11-26 21:24:37.777"), Times(0, 0));
  EXPECT_EQ(told("2026-11-26 21:24:37.999", "2026-11-26 21:24:38.010"), Times(1, 0));
  EXPECT_EQ(told("2026-11-26 21:24:38.000", "2026-11-26 21:24:38.010"), Times(0, 0)) << "another second";
  EXPECT_EQ(told("2026-11-26 21:24:38.000", "2026-11-26 21:25:00.000"), Times(0, 1));
  EXPECT_EQ(told("12:00:01", "12:00:01"), Times(1, 0)) << "another format";
  EXPECT_EQ(told("12:00:01", "12:00:01"), Times(0, 0));
}

// It tells both times by the wall clock, reckoned back from now.
TEST_F(MonitorCoreTest, AClockThatIsSetIsNeitherARestartNorAConfigure) {
  reach_announced();
  std::int64_t clock_ms = 1'800'000'000'000;
  std::int64_t rebooted_at = ms - 60'000;
  std::int64_t configured_at = ms - 5'000;
  const auto told = [&](std::int64_t at) {
    const absl::Time time = absl::FromUnixMillis(clock_ms + at);
    return absl::FormatTime("%Y-%m-%d %H:%M:%E3S", time, absl::UTCTimeZone());
  };
  const auto look = [&](int late_ms = 0) {
    ms += 1000;
    auto view = bird.look();
    view->instances[0].server_time = told(ms);
    view->instances[0].last_reboot = told(rebooted_at);
    view->instances[0].last_reconfiguration = told(configured_at);
    ms += late_ms;
    const Actions actions = core.on_bird(view, bird.state_files(), now());
    return std::pair(records(actions, "bird-restart").size(), records(actions, "bird-configure").size());
  };
  using Times = std::pair<std::size_t, std::size_t>;
  look();
  for (const std::int64_t step_ms : {400, -400, 1'500, 3'600'000, -86'400'000}) {
    clock_ms += step_ms;
    EXPECT_EQ(look(), Times(0, 0)) << step_ms;
    EXPECT_EQ(look(150), Times(0, 0)) << step_ms << ", a look that is late";
  }
  clock_ms += 5'000;
  configured_at = ms;
  EXPECT_EQ(look(), Times(0, 1)) << "a step, and a configure";
  ms += 20'000;
  clock_ms += 5'000;
  rebooted_at = configured_at = ms;
  EXPECT_EQ(look(), Times(1, 0)) << "a step, and a restart";
  EXPECT_EQ(look(3'000), Times(0, 0)) << "a look that is very late";
  EXPECT_EQ(look(), Times(0, 0));
  rebooted_at = configured_at = ms;
  EXPECT_EQ(look(3'000), Times(1, 0)) << "one, and a restart";
}

TEST_F(MonitorCoreTest, AHoldFileThatCanBeReadAgainIsSaid) {
  reach_announced();
  EXPECT_THAT(holds(absl::InvalidArgumentError("found no JSON object")), ElementsAre("hold-file"));
  EXPECT_THAT(holds(std::nullopt), ElementsAre("hold-file"));
  EXPECT_THAT(holds(std::nullopt), IsEmpty());
}

// README: one uplink of several is no reason to withdraw, and no secret either.
TEST_F(MonitorCoreTest, OfSeveralPortsOneWithALinkIsEnough) {
  reach_announced();
  const auto ports = [&](bool first, bool second) {
    ms += 50;
    core.on_heartbeat(dataplane.heartbeat(), now());
    auto state = *dataplane.state();
    state.ports = {{.name = "uplink1", .link_up = first}, {.name = "uplink2", .link_up = second}};
    return core.on_dataplane_state(state, now());
  };
  EXPECT_TRUE(records(ports(true, true), "link").empty());
  const auto one = ports(false, true);
  ASSERT_EQ(records(one, "link").size(), 1U);
  EXPECT_EQ(records(one, "link")[0].at("port").as_string(), "uplink1");
  EXPECT_EQ(records(one, "link")[0].at("up"), false);
  EXPECT_TRUE(core.decision(0).announced());
  ports(false, false);
  EXPECT_FALSE(core.decision(0).announced());
  EXPECT_THAT(core.decision(0).cause, HasSubstr("uplink1, uplink2"));
  EXPECT_EQ(records(ports(true, false), "link").size(), 1U);
}

}  // namespace
}  // namespace anypop::healthmon
