// SPDX-License-Identifier: Apache-2.0
#include "healthmon/reconcile.h"

#include <gtest/gtest.h>

namespace anypop::healthmon {
namespace {

using Standing = bgpctl::AnnouncementStanding;

Standing up() { return {.configured = true, .in_table = true, .exported_to = {"transit1"}}; }
Standing down() { return {.configured = true, .not_exported_to = {"transit1"}}; }

TEST(Reconcile, NothingToDoWhenEverythingAgrees) {
  for (const bool level : {false, true}) {
    const Reconciliation result = reconcile(level, {level, level ? up() : down()});
    EXPECT_FALSE(result.set);
    EXPECT_FALSE(result.differs);
    EXPECT_FALSE(result.problem);
  }
}

TEST(Reconcile, EachFactThatDiffersIsSetAgainAndNamed) {
  const struct {
    bool intended;
    Found found;
    const char* differs;
  } kCases[] = {
      {true, {false, up()}, "state file: withdrawn"},
      {false, {true, down()}, "state file: announced"},
      {true, {std::nullopt, std::nullopt}, "no state file"},
      {true, {true, down()}, "not in BIRD's table"},
      {false, {false, up()}, "in BIRD's table"},
      {true, {true, Standing{.configured = true, .partly_in_table = true}}, "only partly in BIRD's table"},
      {false, {false, Standing{.configured = true, .partly_in_table = true}}, "partly in BIRD's table"},
      {false, {true, up()}, "state file: announced, in BIRD's table"},
  };
  for (const auto& test : kCases) {
    const Reconciliation result = reconcile(test.intended, test.found);
    EXPECT_TRUE(result.set) << test.differs;
    EXPECT_EQ(result.differs, test.differs);
  }
}

TEST(Reconcile, WithoutBirdOnlyTheStateFileCounts) {
  EXPECT_FALSE(reconcile(true, {true, std::nullopt}).set);
  EXPECT_TRUE(reconcile(true, {false, std::nullopt}).set);
}

TEST(Reconcile, WhatACommandCannotRepairIsAProblemAndNotRepeated) {
  const Reconciliation unknown = reconcile(true, {true, Standing{}});
  EXPECT_FALSE(unknown.set);
  EXPECT_TRUE(unknown.problem.has_value());
  const Reconciliation half = reconcile(false, {false, Standing{.partly_in_table = true}});
  EXPECT_TRUE(half.set) << "what is there can still be withdrawn";

  Standing filtered = up();
  filtered.not_exported_to = std::exchange(filtered.exported_to, {});
  EXPECT_EQ(reconcile(true, {true, filtered}).problem,
            "in BIRD's table but exported to nobody; check the export filter of transit1");
  filtered.not_exported_to.clear();
  EXPECT_EQ(reconcile(true, {true, filtered}).problem, "in BIRD's table but no BGP session is established");
}

}  // namespace
}  // namespace anypop::healthmon
