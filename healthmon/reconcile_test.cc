// SPDX-License-Identifier: Apache-2.0
#include "healthmon/reconcile.h"

#include <gtest/gtest.h>

namespace anypop::healthmon {
namespace {

using Standing = bgpctl::AnnouncementStanding;
constexpr auto kIn = bgpctl::Level::kAnnounced;
constexpr auto kDrained = bgpctl::Level::kDrained;
constexpr auto kOut = bgpctl::Level::kWithdrawn;

Standing up() {
  return {.configured = true, .in_table = true, .exported_to = {"transit1"}, .drainable = true, .level = kIn};
}
Standing down() { return {.configured = true, .not_exported_to = {"transit1"}, .drainable = true, .level = kOut}; }
Standing drained() {
  Standing result = up();
  result.drained_to = result.exported_to;
  result.level = kDrained;
  return result;
}
Standing at(bgpctl::Level level) { return level == kIn ? up() : level == kOut ? down() : drained(); }

TEST(Reconcile, NothingToDoWhenEverythingAgrees) {
  for (const bgpctl::Level level : {kOut, kDrained, kIn}) {
    const Reconciliation result = reconcile(level, {level, at(level)});
    EXPECT_FALSE(result.set);
    EXPECT_FALSE(result.differs);
    EXPECT_FALSE(result.problem);
  }
}

TEST(Reconcile, EachFactThatDiffersIsSetAgainAndNamed) {
  Standing half_drained = up();
  half_drained.level.reset();
  const struct {
    bgpctl::Level intended;
    Found found;
    const char* differs;
  } kCases[] = {
      {kIn, {kOut, up()}, "state file: withdrawn"},
      {kOut, {kIn, down()}, "state file: announced"},
      {kIn, {std::nullopt, std::nullopt}, "no state file"},
      {kIn, {kIn, down()}, "not in BIRD's table"},
      {kOut, {kOut, up()}, "in BIRD's table"},
      {kIn, {kIn, Standing{.configured = true, .partly_in_table = true}}, "only partly in BIRD's table"},
      {kOut, {kOut, Standing{.configured = true, .partly_in_table = true}}, "partly in BIRD's table"},
      {kOut, {kIn, up()}, "state file: announced, in BIRD's table"},
      {kDrained, {kDrained, up()}, "announced in BIRD's table"},
      {kIn, {kDrained, drained()}, "state file: drained, drained in BIRD's table"},
      {kDrained, {kDrained, half_drained}, "only partly drained in BIRD's table"},
      {kOut, {kOut, drained()}, "in BIRD's table"},
  };
  for (const auto& test : kCases) {
    const Reconciliation result = reconcile(test.intended, test.found);
    EXPECT_TRUE(result.set) << test.differs;
    EXPECT_EQ(result.differs, test.differs);
  }
}

TEST(Reconcile, WithoutBirdOnlyTheStateFileCounts) {
  EXPECT_FALSE(reconcile(kIn, {kIn, std::nullopt}).set);
  EXPECT_TRUE(reconcile(kIn, {kOut, std::nullopt}).set);
}

TEST(Reconcile, WhatACommandCannotRepairIsAProblemAndNotRepeated) {
  const Reconciliation unknown = reconcile(kIn, {kIn, Standing{}});
  EXPECT_FALSE(unknown.set);
  EXPECT_TRUE(unknown.problem.has_value());
  const Reconciliation half = reconcile(kOut, {kOut, Standing{.partly_in_table = true}});
  EXPECT_TRUE(half.set) << "what is there can still be withdrawn";

  Standing filtered = up();
  filtered.not_exported_to = std::exchange(filtered.exported_to, {});
  EXPECT_EQ(reconcile(kIn, {kIn, filtered}).problem,
            "in BIRD's table but exported to nobody; check the export filter of transit1");
  filtered.not_exported_to.clear();
  EXPECT_EQ(reconcile(kIn, {kIn, filtered}).problem, "in BIRD's table but no BGP session is established");
}

TEST(Reconcile, ABirdWithoutDrainProtocolsIsAProblemAndNotRepeated) {
  Standing old = up();
  old.drainable = false;
  EXPECT_FALSE(reconcile(kIn, {kIn, old}).problem);
  const Reconciliation result = reconcile(kDrained, {kDrained, old});
  EXPECT_FALSE(result.set);
  EXPECT_TRUE(result.problem.has_value());
}

TEST(Reconcile, ASessionThatIsToldThePlainRouteOfADrainIsAProblem) {
  Standing found = drained();
  found.exported_to.push_back("transit2");
  EXPECT_TRUE(reconcile(kDrained, {kDrained, found}).problem.has_value());
}

}  // namespace
}  // namespace anypop::healthmon
