// SPDX-License-Identifier: Apache-2.0
// Timelines: health goes up and down by the clock, and the level, the hold-down and the latch are read off.
#include "healthmon/flap_damping.h"

#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "base/text.h"
#include "healthmon/policy.h"

namespace anypop::healthmon {
namespace {

using bgpctl::Level;
using std::chrono::seconds;

class FlapTimeline : public testing::Test {
 protected:
  FlapTimeline() {
    config.services = {{.name = "web", .backends = {{.name = "b1"}}}};
    config.announcements = {{.name = "web", .services = {"web"}, .hold_down_ms = 60'000}};
    facts.first_round_done = true;
    facts.dataplane.condition = DataplaneFacts::Condition::kAlive;
    facts.dataplane.next_hops_known = true;
    facts.backends = {{{Health::kHealthy, true}}};
    facts.routing.resize(1);
  }
  AnnouncementConfig& web() { return config.announcements[0]; }
  static SteadyTime time(double s) {
    return SteadyTime(seconds(100'000)) + std::chrono::milliseconds(std::llround(s * 1000));
  }

  Level at(double s, bool healthy) {
    facts.backends[0][0].health = healthy ? Health::kHealthy : Health::kUnhealthy;
    last = decide(config, 0, facts, hold, last.memory, time(s));
    return last.level;
  }
  // Down at `s`, up a second later. The seconds from there until it is announced, looked at every second.
  int flap(double s) {
    EXPECT_EQ(at(s, false), Level::kWithdrawn);
    EXPECT_EQ(at(s + 1, true), Level::kWithdrawn);
    for (int waited = 0; waited < 5000; ++waited) {
      if (at(s + 1 + waited, true) == Level::kAnnounced) return waited;
    }
    return -1;
  }

  PopConfig config;
  Facts facts;
  std::optional<bgpctl::Hold> hold;
  Decision last;
};

TEST_F(FlapTimeline, TheHoldDownDoublesWithEveryFlapUpToTheLongest) {
  web().flaps = {.half_life_s = 86'400, .latch_penalty = 0, .hold_down_max_ms = 400'000};
  EXPECT_EQ(at(0, true), Level::kAnnounced) << "the first announcement needs none";
  EXPECT_EQ(flap(100), 60);
  EXPECT_EQ(flap(200), 120);
  EXPECT_EQ(flap(400), 240);
  EXPECT_EQ(flap(700), 400);
  EXPECT_EQ(flap(1200), 400);
  EXPECT_EQ(last.memory.damping.flaps, 5U);
}

TEST_F(FlapTimeline, WithTheDefaultsWhatFailsWheneverItIsBackLatches) {
  EXPECT_EQ(at(0, true), Level::kAnnounced);
  double s = 100;
  for (const int wait_s : {60, 120, 240}) {
    EXPECT_EQ(flap(s), wait_s);
    s += 1 + wait_s;
  }
  EXPECT_EQ(at(s, false), Level::kWithdrawn);
  EXPECT_TRUE(last.memory.damping.latched);
  EXPECT_EQ(at(s + 1, true), Level::kWithdrawn);
  EXPECT_NEAR(static_cast<double>(last.hold_down_remaining.count()), 32 * 60'000, 30'000);
}

// PITFALLS.md: 1000 + 955 + 871 are more than 2000, and such a router hides the prefix from then on.
TEST_F(FlapTimeline, ForNeighboursThatSuppressAt2000TwoReturnsAreAll) {
  web().flaps.latch_penalty = 2000;
  EXPECT_EQ(at(0, true), Level::kAnnounced);
  EXPECT_EQ(flap(100), 60);
  EXPECT_EQ(flap(161), 120);
  EXPECT_EQ(at(282, false), Level::kWithdrawn);
  EXPECT_TRUE(last.memory.damping.latched);
  EXPECT_EQ(at(282 + 15 * 60, true), Level::kWithdrawn) << "no third return in a quarter of an hour";
}

TEST_F(FlapTimeline, FlapsAreForgottenByHalvesInTheHalfLife) {
  web().flaps = {.half_life_s = 900, .latch_penalty = 0};
  EXPECT_EQ(at(0, true), Level::kAnnounced);
  EXPECT_EQ(flap(100), 60);
  EXPECT_NEAR(penalty_at(web().flaps, last.memory.damping, time(100 + 900)), 500, 1);
  EXPECT_NEAR(penalty_at(web().flaps, last.memory.damping, time(100 + 2700)), 125, 1);
  EXPECT_EQ(flap(100 + 2700), 60) << "1125 is one flap";
  EXPECT_EQ(flap(100 + 2700 + 100), 120) << "2042 are two";
}

TEST_F(FlapTimeline, LatchesAndComesBackWhenThePenaltyHasDecayed) {
  web().hold_down_ms = 1000;
  web().flaps = {.half_life_s = 100, .latch_penalty = 2500, .reuse_penalty = 750, .hold_down_max_ms = 1000};
  EXPECT_EQ(at(0, true), Level::kAnnounced);
  EXPECT_EQ(flap(1), 1);
  EXPECT_EQ(flap(3), 1);
  EXPECT_EQ(at(5, false), Level::kWithdrawn);
  EXPECT_TRUE(last.memory.damping.latched);
  const double penalty = last.memory.damping.penalty;
  EXPECT_NEAR(penalty, 1000 + 1000 * std::exp2(-0.02) + 1000 * std::exp2(-0.04), 1);
  EXPECT_EQ(at(6, true), Level::kWithdrawn);
  EXPECT_EQ(last.cause, "latched after 3 flaps; the penalty's decay or `bgpctl announce web` ends it");
  const double free_after_s = 100 * std::log2(penalty / 750);
  EXPECT_NEAR(static_cast<double>(last.hold_down_remaining.count()), (free_after_s - 1) * 1000, 2);
  EXPECT_EQ(at(5 + free_after_s - 0.1, true), Level::kWithdrawn);
  EXPECT_EQ(at(5 + free_after_s + 0.1, true), Level::kAnnounced) << "it has been healthy for long enough";
  EXPECT_FALSE(last.memory.damping.latched);
}

TEST_F(FlapTimeline, ALatchThatOnlyAPersonEnds) {
  web().hold_down_ms = 1000;
  web().flaps = {.half_life_s = 10, .latch_penalty = 1000, .reuse_penalty = 0};
  EXPECT_EQ(at(0, true), Level::kAnnounced);
  EXPECT_EQ(at(1, false), Level::kWithdrawn);
  EXPECT_EQ(at(2, true), Level::kWithdrawn);
  EXPECT_EQ(at(80'000, true), Level::kWithdrawn);
  EXPECT_EQ(last.hold_down_remaining.count(), 0) << "nobody knows";
  EXPECT_EQ(last.cause, "latched after 1 flaps; `bgpctl announce web` ends it");
  hold = bgpctl::Hold{.kind = bgpctl::HoldKind::kAnnounce, .reason = "it is mended", .who = "alice"};
  EXPECT_EQ(at(80'001, true), Level::kAnnounced);
  hold.reset();
  EXPECT_EQ(at(80'002, true), Level::kAnnounced) << "what the routers have is not taken back";
  EXPECT_FALSE(last.memory.damping.latched);
}

TEST_F(FlapTimeline, ADrainIsHalfAFlapAndHoldsAreNone) {
  web().drain_below_percent = 80;
  config.services[0].backends.push_back({.name = "b2"});
  facts.backends[0].push_back({Health::kUnhealthy, true});
  web().min_healthy_percent = 40;
  EXPECT_EQ(at(0, true), Level::kDrained) << "the first level needs no hold-down either";
  facts.backends[0][1].health = Health::kHealthy;
  EXPECT_EQ(at(1, true), Level::kAnnounced);
  EXPECT_EQ(at(2, false), Level::kDrained);
  EXPECT_DOUBLE_EQ(last.memory.damping.penalty, 500);
  EXPECT_EQ(last.memory.damping.hold_down, seconds(60));
  hold = bgpctl::Hold{.kind = bgpctl::HoldKind::kWithdraw, .reason = "work", .who = "alice"};
  EXPECT_EQ(at(3, false), Level::kWithdrawn);
  EXPECT_DOUBLE_EQ(last.memory.damping.penalty, 500);
}

TEST_F(FlapTimeline, ARestartForgetsNeitherThePenaltyNorTheHoldDown) {
  web().flaps.latch_penalty = 0;
  EXPECT_EQ(at(0, true), Level::kAnnounced);
  EXPECT_EQ(flap(100), 60);
  EXPECT_EQ(at(200, false), Level::kWithdrawn);
  const std::string text = damping_text(last.memory.damping, {time(230), 1'800'000'030'000}, "boot-1");

  // The wall clock was set back by an hour in between; the monotonic one tells the age.
  const auto same_boot = parse_damping(text, {time(260), 1'800'000'060'000 - 3'600'000}, "boot-1");
  ASSERT_TRUE(same_boot.ok()) << same_boot.status();
  last = {};
  last.memory.damping = *same_boot;
  EXPECT_EQ(at(260, true), Level::kWithdrawn);
  EXPECT_EQ(at(379, true), Level::kWithdrawn);
  EXPECT_EQ(at(380, true), Level::kAnnounced) << "the second flap's 120 s, counted from the start";

  // After a reboot the monotonic clock begins anew, and the wall clock tells the age.
  const auto rebooted = parse_damping(text, {SteadyTime(seconds(5)), 1'800'000'000'000 + 900'000}, "boot-2");
  ASSERT_TRUE(rebooted.ok()) << rebooted.status();
  EXPECT_NEAR(penalty_at(web().flaps, *rebooted, SteadyTime(seconds(5))), same_boot->penalty / 2, 1);
  const auto clock_back = parse_damping(text, {SteadyTime(seconds(5)), 1'700'000'000'000}, "boot-2");
  EXPECT_NEAR(penalty_at(web().flaps, *clock_back, SteadyTime(seconds(5))), same_boot->penalty, 1);
}

TEST(DampingText, RefusesWhatIsNotOurs) {
  const Now now{SteadyTime(seconds(1)), 1000};
  const std::string good = damping_text({.penalty = 1500.5, .updated = now.steady, .flaps = 2}, now, "b");
  EXPECT_EQ(parse_damping(good, now, "b")->penalty, 1500.5);
  for (const std::string& bad :
       {std::string("{"), std::string("[]"), std::string("{}"), good.substr(0, good.size() / 2),
        std::string(R"({"penalty_milli":-1,"flaps":0,"latched":false,"lost":false,"hold_down_ms":0,)"
                    R"("updated_unix_ms":0,"updated_steady_ms":0,"boot_id":""})"),
        std::string(R"({"penalty_milli":1,"flaps":0,"latched":1,"lost":false,"hold_down_ms":0,)"
                    R"("updated_unix_ms":0,"updated_steady_ms":0,"boot_id":""})")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(parse_damping(bad, now, "b").status())) << bad;
  }
}

TEST(DampingText, ExtremesStayFinite) {
  const std::string old = R"({"penalty_milli":1000000000,"flaps":9,"latched":true,"lost":true,"hold_down_ms":86400000,)"
                          R"("updated_unix_ms":-1000000000000000,"updated_steady_ms":-1000000000000000,"boot_id":"x"})";
  const auto damping = parse_damping(old, {SteadyTime(seconds(1)), 1'800'000'000'000}, "y");
  ASSERT_TRUE(damping.ok());
  EXPECT_LT(penalty_at(FlapConfig{}, *damping, SteadyTime(seconds(1))), 1);
  AnnouncementConfig web{.name = "web", .hold_down_ms = 86'400'000};
  Damping worst{.penalty = 1e6};
  add_flap(web, Level::kWithdrawn, SteadyTime(seconds(1)), worst);
  EXPECT_LE(worst.penalty, 1e6);
  EXPECT_EQ(worst.hold_down.count(), 86'400'000);
}

}  // namespace
}  // namespace anypop::healthmon
