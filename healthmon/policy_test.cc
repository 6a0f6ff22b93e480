// SPDX-License-Identifier: Apache-2.0
#include "healthmon/policy.h"

#include <functional>

#include <gtest/gtest.h>

namespace anypop::healthmon {
namespace {

using bgpctl::Level;
using std::chrono::milliseconds;

PopConfig two_services() {
  PopConfig config;
  config.services = {{.name = "web4"}, {.name = "web6"}};
  for (ServiceConfig& service : config.services) {
    service.backends = {{.name = "b1", .weight = 1}, {.name = "b2", .weight = 2}};
  }
  config.announcements = {{.name = "web", .services = {"web4", "web6"}, .hold_down_ms = 500}};
  return config;
}

// A policy that lives through instants; everything is good at first.
class Policy : public testing::Test {
 protected:
  Policy() {
    facts.first_round_done = true;
    facts.routing.resize(1);
    facts.dataplane = {
        .condition = DataplaneFacts::Condition::kAlive, .cause = "", .next_hops_known = true, .no_link = ""};
    facts.backends.assign(2, std::vector<BackendFacts>(2, {.health = Health::kHealthy, .resolved = true}));
  }

  Decision at(int ms) {
    const Decision decision = decide(config, 0, facts, hold, memory, SteadyTime(milliseconds(1'000'000 + ms)));
    memory = decision.memory;
    return decision;
  }
  bgpctl::Hold order(bgpctl::HoldKind kind) { return {.kind = kind, .reason = "maintenance", .who = "alice"}; }

  PopConfig config = two_services();
  Facts facts;
  std::optional<bgpctl::Hold> hold;
  PolicyMemory memory;
};

TEST_F(Policy, AnnouncesWhenEveryConditionIsGood) {
  const Decision decision = at(0);
  EXPECT_TRUE(decision.announced()) << "the first announcement needs no hold-down";
  EXPECT_EQ(decision.cause, "every condition is good");
  EXPECT_EQ(decision.hold_down_remaining.count(), 0);
}

TEST_F(Policy, EachBadConditionWithdrawsAndSaysWhy) {
  const struct {
    const char* cause;
    std::function<void(Facts&)> change;
  } kCases[] = {
      {"web4: 0 of 2 backends healthy (0 %), 50 % wanted",
       [](Facts& f) {
         f.backends[0].assign(2, {Health::kUnhealthy, true});
       }},
      {"web6: 1 of 2 backends healthy (33 %), 50 % wanted",
       [](Facts& f) { f.backends[1][1].health = Health::kUnhealthy; }},
      {"web4: 1 of 2 backends usable (33 %), 50 % wanted; next hop unresolved: b2",
       [](Facts& f) { f.backends[0][1].resolved = false; }},
      {"web4: 0 of 2 backends usable (0 %), 50 % wanted; next hop unresolved: b1, b2",
       [](Facts& f) {
         f.backends[0].assign(2, {Health::kHealthy, false});
       }},
      {"the dataplane does not answer",
       [](Facts& f) {
         f.dataplane.condition = DataplaneFacts::Condition::kDead;
         f.dataplane.cause = "the dataplane does not answer";
       }},
      {"the dataplane has not answered yet",
       [](Facts& f) { f.dataplane.condition = DataplaneFacts::Condition::kUnknown; }},
      {"no port of the dataplane has a link: uplink", [](Facts& f) { f.dataplane.no_link = "uplink"; }},
      {"the dataplane does not say which next hops it has", [](Facts& f) { f.dataplane.next_hops_known = false; }},
  };
  for (const auto& test : kCases) {
    memory = {};
    const Facts good = facts;
    EXPECT_TRUE(at(0).announced());
    test.change(facts);
    const Decision decision = at(1);
    EXPECT_FALSE(decision.announced()) << test.cause;
    EXPECT_EQ(decision.cause, test.cause);
    facts = good;
  }
}

TEST_F(Policy, CapacityIsAShareOfTheWeight) {
  facts.backends[0][0].health = Health::kUnhealthy;
  EXPECT_TRUE(at(0).announced()) << "b2 is two thirds";
  config.announcements[0].min_healthy_percent = 67;
  EXPECT_EQ(at(1).cause, "web4: 1 of 2 backends healthy (66 %), 67 % wanted");
  config.announcements[0].min_healthy_percent = 0;
  memory = {};
  facts.backends[0][1].health = Health::kUnhealthy;
  EXPECT_TRUE(at(2).announced());
}

TEST_F(Policy, ReturnsOnlyAfterAnUninterruptedHoldDown) {
  EXPECT_TRUE(at(0).announced());
  facts.backends[0][1].health = Health::kUnhealthy;
  EXPECT_FALSE(at(10).announced());
  facts.backends[0][1].health = Health::kHealthy;
  EXPECT_FALSE(at(20).announced());
  Decision decision = at(220);
  EXPECT_EQ(decision.cause, "hold-down: healthy for 200 of 500 ms");
  EXPECT_EQ(decision.hold_down_remaining.count(), 300);
  facts.dataplane.condition = DataplaneFacts::Condition::kDead;
  EXPECT_FALSE(at(300).announced());
  facts.dataplane.condition = DataplaneFacts::Condition::kAlive;
  EXPECT_FALSE(at(310).announced());
  EXPECT_FALSE(at(809).announced()) << "it counts from the last fault";
  EXPECT_TRUE(at(810).announced());
}

TEST_F(Policy, AFaultBeforeTheFirstAnnouncementNeedsNoHoldDown) {
  facts.backends[0][1].health = Health::kUnhealthy;
  EXPECT_FALSE(at(0).announced());
  facts.backends[0][1].health = Health::kHealthy;
  EXPECT_TRUE(at(1).announced());
}

TEST_F(Policy, BeforeTheFirstFullRoundWhatIsStays) {
  facts.first_round_done = false;
  facts.first_round_missing = "1 of 4 backends has no verdict";
  facts.backends[0][0].health = Health::kUnknown;
  EXPECT_FALSE(at(0).announced()) << "withdrawn as found, though nothing is bad";
  EXPECT_EQ(at(0).cause,
            "as found at the start, until the first full round is complete: 1 of 4 backends has no verdict");
  hold = order(bgpctl::HoldKind::kAnnounce);
  EXPECT_FALSE(at(1).announced());
  hold.reset();

  memory.level = Level::kAnnounced;
  EXPECT_TRUE(at(2).announced());
  facts.dataplane.condition = DataplaneFacts::Condition::kUnknown;
  facts.backends[0].assign(2, {Health::kUnknown, false});
  EXPECT_TRUE(at(3).announced() == false) << "unresolved is known to be bad";
  memory = {.level = Level::kAnnounced};
  facts.dataplane.next_hops_known = false;
  EXPECT_TRUE(at(4).announced()) << "nothing is known to be bad";
}

TEST_F(Policy, BeforeTheFirstFullRoundACertainFaultWithdraws) {
  facts.first_round_done = false;
  facts.backends[0][0].health = Health::kUnknown;
  facts.backends[0][1].health = Health::kUnhealthy;
  memory.level = Level::kAnnounced;
  const Decision decision = at(0);
  EXPECT_FALSE(decision.announced()) << "b1 alone would not be enough";
  EXPECT_EQ(decision.cause, "web4: 1 of 2 backends healthy (33 %), 50 % wanted");
  facts.first_round_done = true;
  facts.backends[0].assign(2, {Health::kHealthy, true});
  EXPECT_FALSE(at(1).announced()) << "that was a withdrawal: hold-down";
  EXPECT_TRUE(at(501).announced());
}

TEST_F(Policy, BeforeTheFirstFullRoundADrainedOneThatFallsFurtherWaitsForItsHoldDown) {
  config.announcements[0].drain_below_percent = 100;
  facts.first_round_done = false;
  facts.backends[0][0].health = Health::kUnhealthy;
  memory.level = memory.earned = Level::kAnnounced;
  EXPECT_EQ(at(0).level, Level::kDrained);
  facts.backends[0].assign(2, {Health::kUnhealthy, true});
  EXPECT_EQ(at(1).level, Level::kWithdrawn);
  facts.first_round_done = true;
  facts.backends[0][1].health = Health::kHealthy;
  EXPECT_EQ(at(2).level, Level::kWithdrawn) << "it was drained once, and has to earn that anew";
  EXPECT_EQ(at(501).level, Level::kWithdrawn);
  EXPECT_EQ(at(502).level, Level::kDrained);
}

TEST_F(Policy, HoldsOutrankHealth) {
  EXPECT_TRUE(at(0).announced());
  hold = order(bgpctl::HoldKind::kWithdraw);
  EXPECT_FALSE(at(1).announced());
  EXPECT_EQ(at(2).cause, "held out by alice: maintenance");
  facts.first_round_done = false;
  EXPECT_FALSE(at(3).announced());
  facts.first_round_done = true;
  hold.reset();
  EXPECT_TRUE(at(4).announced()) << "health was good all the time: no hold-down";

  facts.dataplane.condition = DataplaneFacts::Condition::kDead;
  facts.dataplane.cause = "the dataplane does not answer";
  EXPECT_FALSE(at(5).announced());
  hold = order(bgpctl::HoldKind::kAnnounce);
  EXPECT_TRUE(at(6).announced());
  EXPECT_EQ(at(7).cause, "held in by alice: maintenance");
  EXPECT_EQ(at(7).deserved, Level::kWithdrawn) << "what health says is not lost";
  EXPECT_EQ(at(7).deserved_cause, "the dataplane does not answer");
  hold.reset();
  EXPECT_FALSE(at(8).announced());
}

TEST_F(Policy, AHoldReleasedWhileHealthIsGoodDoesNotFlap) {
  EXPECT_TRUE(at(0).announced());
  hold = order(bgpctl::HoldKind::kAnnounce);
  facts.dataplane.condition = DataplaneFacts::Condition::kDead;
  EXPECT_TRUE(at(10).announced());
  facts.dataplane.condition = DataplaneFacts::Condition::kAlive;
  EXPECT_TRUE(at(20).announced());
  hold.reset();
  EXPECT_TRUE(at(30).announced()) << "hold-down delays an announcement, it does not withdraw one";
}

TEST_F(Policy, AFaultDuringAWithdrawHoldStillHoldsDown) {
  EXPECT_TRUE(at(0).announced());
  hold = order(bgpctl::HoldKind::kWithdraw);
  EXPECT_FALSE(at(10).announced());
  facts.dataplane.condition = DataplaneFacts::Condition::kDead;
  EXPECT_FALSE(at(20).announced());
  facts.dataplane.condition = DataplaneFacts::Condition::kAlive;
  EXPECT_FALSE(at(30).announced());
  hold.reset();
  EXPECT_FALSE(at(40).announced());
  EXPECT_TRUE(at(530).announced());
}

class Ladder : public Policy {
 protected:
  Ladder() {
    web().min_healthy_percent = 34;
    web().drain_below_percent = 80;
    web().return_margin_percent = 10;
  }
  AnnouncementConfig& web() { return config.announcements[0]; }
  void b1(bool healthy) { facts.backends[0][0].health = healthy ? Health::kHealthy : Health::kUnhealthy; }
  void b2(bool healthy) { facts.backends[0][1].health = healthy ? Health::kHealthy : Health::kUnhealthy; }
};

TEST_F(Ladder, GoesDownAtOnceAndUpPatiently) {
  EXPECT_EQ(at(0).level, Level::kAnnounced);
  b1(false);
  EXPECT_EQ(at(1).level, Level::kDrained) << "66 % are left";
  EXPECT_EQ(at(1).cause, "web4: 1 of 2 backends healthy (66 %), 90 % wanted") << "to come back";
  b1(true), b2(false);
  EXPECT_EQ(at(2).level, Level::kWithdrawn) << "33 % are left";
  b1(false), b2(true);
  EXPECT_EQ(at(3).level, Level::kWithdrawn);
  EXPECT_EQ(at(503).level, Level::kDrained) << "good for so much only";
  b1(true);
  EXPECT_EQ(at(600).level, Level::kDrained);
  EXPECT_EQ(at(600).cause, "hold-down: healthy for 0 of 500 ms");
  EXPECT_EQ(at(1099).level, Level::kDrained);
  EXPECT_EQ(at(1100).level, Level::kAnnounced);
}

TEST_F(Ladder, WhatWasFoundGoesDownByOneStepOnly) {
  memory.level = Level::kAnnounced;
  b1(false);
  EXPECT_EQ(at(0).level, Level::kDrained);
  EXPECT_EQ(memory.damping.penalty, kDrainPenalty);
  b1(true);
  EXPECT_EQ(at(1).level, Level::kDrained);
  EXPECT_EQ(at(501).level, Level::kAnnounced);
}

TEST_F(Ladder, AFullRecoverySkipsTheMiddle) {
  EXPECT_EQ(at(0).level, Level::kAnnounced);
  b1(false), b2(false);
  EXPECT_EQ(at(1).level, Level::kWithdrawn);
  b1(true), b2(true);
  EXPECT_EQ(at(2).level, Level::kWithdrawn);
  EXPECT_EQ(at(502).level, Level::kAnnounced);
}

TEST_F(Ladder, TheWayBackNeedsTheMargin) {
  web().min_healthy_percent = 60;
  web().drain_below_percent = 0;
  EXPECT_EQ(at(0).level, Level::kAnnounced);
  b1(false);
  EXPECT_EQ(at(1).level, Level::kAnnounced) << "66 of 60";
  b2(false);
  EXPECT_EQ(at(2).level, Level::kWithdrawn);
  b2(true);
  EXPECT_EQ(at(10'000).cause, "web4: 1 of 2 backends healthy (66 %), 70 % wanted");
  b1(true);
  EXPECT_EQ(at(10'001).level, Level::kWithdrawn);
  EXPECT_EQ(at(10'501).level, Level::kAnnounced);
}

TEST_F(Ladder, TheMarginEndsAtAllOfThem) {
  web().return_margin_percent = 100;
  EXPECT_EQ(at(0).level, Level::kAnnounced);
  b1(false), b2(false);
  EXPECT_EQ(at(1).level, Level::kWithdrawn);
  b1(true), b2(true);
  at(2);
  EXPECT_EQ(at(502).level, Level::kAnnounced);
}

TEST_F(Policy, SomeOfTheServicesAreEnough) {
  facts.backends[0].assign(2, {Health::kUnhealthy, true});
  EXPECT_FALSE(at(0).announced());
  config.announcements[0].required_services = 1;
  EXPECT_TRUE(at(1).announced());
  facts.backends[1].assign(2, {Health::kUnhealthy, true});
  EXPECT_EQ(at(2).cause, "0 of 2 services work, 1 wanted; web4: 0 of 2 backends healthy (0 %), 50 % wanted");
  EXPECT_FALSE(at(3).announced());
}

TEST_F(Policy, SessionsAreAConditionWhenTheyAreWanted) {
  facts.routing[0].sessions = 0;
  EXPECT_TRUE(at(0).announced()) << "not asked for";
  config.announcements[0].min_sessions = 2;
  facts.routing[0].sessions = 1;
  EXPECT_EQ(at(1).cause, "1 of 2 wanted BGP sessions are established");
  EXPECT_FALSE(at(2).announced());
  facts.routing[0].sessions.reset();
  EXPECT_EQ(at(3).cause, "BIRD has not told its BGP sessions");
  facts.routing[0].sessions = 2;
  at(4);
  EXPECT_TRUE(at(504).announced());
}

TEST_F(Policy, ACanaryIsAnnouncedWhateverHealthSays) {
  config.announcements[0].canary = true;
  facts.first_round_done = false;
  EXPECT_FALSE(at(0).announced()) << "nothing is announced before the first full round";
  facts.first_round_done = true;
  facts.dataplane.condition = DataplaneFacts::Condition::kDead;
  EXPECT_TRUE(at(1).announced());
  hold = order(bgpctl::HoldKind::kWithdraw);
  EXPECT_FALSE(at(2).announced());
  hold.reset();
  EXPECT_TRUE(at(3).announced());
  EXPECT_EQ(memory.damping.flaps, 0U);
}

TEST_F(Policy, TheLastAnnouncerIsDrainedUntilSomebodyElseIsThere) {
  config.announcements[0].keep_last = true;
  EXPECT_TRUE(at(0).announced());
  facts.dataplane.condition = DataplaneFacts::Condition::kDead;
  facts.dataplane.cause = "the dataplane does not answer";
  Decision decision = at(10);
  EXPECT_EQ(decision.level, Level::kDrained) << "unknown is nobody";
  EXPECT_TRUE(decision.kept_last);
  EXPECT_EQ(decision.cause, "the dataplane does not answer; kept, drained: BIRD knows nobody else who announces it");
  facts.routing[0].others = false;
  EXPECT_EQ(at(9000).level, Level::kDrained);
  facts.routing[0].others = true;
  decision = at(9001);
  EXPECT_EQ(decision.level, Level::kWithdrawn);
  EXPECT_FALSE(decision.kept_last);
  facts.routing[0].others = false;
  EXPECT_EQ(at(9002).level, Level::kWithdrawn) << "what is out stays out";
}

TEST_F(Policy, PopsThatFailTogetherSeeOneAnotherDrainFirst) {
  config.announcements[0].keep_last = true;
  facts.routing[0].others = true;
  EXPECT_TRUE(at(0).announced());
  facts.dataplane.condition = DataplaneFacts::Condition::kDead;
  EXPECT_EQ(at(10).level, Level::kDrained) << "the other may be failing as well";
  EXPECT_EQ(at(5009).level, Level::kDrained);
  EXPECT_EQ(at(5010).level, Level::kWithdrawn);
}

TEST_F(Policy, AnOperatorMayWithdrawTheLastAnnouncer) {
  config.announcements[0].keep_last = true;
  EXPECT_TRUE(at(0).announced());
  facts.dataplane.condition = DataplaneFacts::Condition::kDead;
  EXPECT_EQ(at(1).level, Level::kDrained);
  hold = order(bgpctl::HoldKind::kWithdraw);
  EXPECT_EQ(at(2).level, Level::kWithdrawn);
}

TEST_F(Policy, AKeptAnnouncementReturnsInTwoSteps) {
  config.announcements[0].keep_last = true;
  EXPECT_TRUE(at(0).announced());
  facts.backends[0].assign(2, {Health::kUnhealthy, true});
  EXPECT_EQ(at(1).level, Level::kDrained);
  facts.backends[0].assign(2, {Health::kHealthy, true});
  EXPECT_EQ(at(2).level, Level::kDrained) << "the hold-down";
  EXPECT_EQ(at(502).level, Level::kAnnounced);
}

}  // namespace
}  // namespace anypop::healthmon
