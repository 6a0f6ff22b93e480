// SPDX-License-Identifier: Apache-2.0
#include "healthmon/rise_fall.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace anypop::healthmon {
namespace {

// One character a result, in: '+' success, '-' failure; out: the health after it, '?' unknown, 'U' up, '.' down.
std::string timeline(RiseFallThresholds thresholds, std::string_view results) {
  RiseFall state(thresholds);
  std::string out;
  for (const char result : results) {
    const Health before = state.health();
    const bool changed = state.add(result == '+');
    EXPECT_EQ(changed, state.health() != before);
    out += state.health() == Health::kUnknown ? '?' : state.health() == Health::kHealthy ? 'U' : '.';
  }
  return out;
}

TEST(RiseFall, ChangesAfterEnoughEqualResultsInARow) {
  EXPECT_EQ(timeline({.rise = 3, .fall = 2},
                     "+++-+--+++"),  //
            "??UUUU...U");
  EXPECT_EQ(timeline({.rise = 1, .fall = 1},
                     "+-+-"),  //
            "U.U.");
  EXPECT_EQ(timeline({.rise = 2, .fall = 3},
                     "++--+--+---++"),  //
            "?UUUUUUUUU..U");
}

TEST(RiseFall, TheFirstVerdictNeedsAsManyResultsAsAnyOther) {
  EXPECT_EQ(timeline({.rise = 2, .fall = 3},
                     "--+++"),  //
            "???UU");
  EXPECT_EQ(timeline({.rise = 2, .fall = 3},
                     "---++"),  //
            "??..U");
  EXPECT_EQ(timeline({.rise = 3, .fall = 2},
                     "++-+++++"),  //
            "????.UUU")
      << "five results without a verdict are one";
}

TEST(RiseFall, ResultsThatAlternateAreUnhealthyInTheEnd) {
  EXPECT_EQ(timeline({.rise = 2, .fall = 3},
                     "+-+-+-+-"),  //
            "????....");
  EXPECT_EQ(timeline({.rise = 2, .fall = 2},
                     "-+-+++"),  //
            "???.UU");
}

TEST(RiseFall, InTransitionUntilTheFirstVerdictAndWhileResultsSpeakAgainstTheHealth) {
  RiseFall state({.rise = 2, .fall = 2});
  const auto after = [&](bool result) {
    state.add(result);
    return state.in_transition();
  };
  EXPECT_TRUE(state.in_transition());
  EXPECT_TRUE(after(true));
  EXPECT_FALSE(after(true)) << "healthy";
  EXPECT_TRUE(after(false));
  EXPECT_FALSE(after(false)) << "unhealthy";
  EXPECT_TRUE(after(true));
  EXPECT_FALSE(after(false));
}

}  // namespace
}  // namespace anypop::healthmon
