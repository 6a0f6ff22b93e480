// SPDX-License-Identifier: Apache-2.0
// The simulation's judge is worth what it sees: each of these is a fault that no monitor could see or repair, because
// what it reads is not so, or what it orders is not done. The judge must see every one of them, at routers and by
// truth.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "sim_world.h"

namespace anypop::healthmon::sim {
namespace {

struct Case {
  const char* name;
  Lie lie;
  const char* verdict;  // a part of the judge's words
};

// What the judge says of this seed.
std::string said(std::uint64_t seed, Lie lie, const char* verdict) {
  testing::TestPartResultArray results;
  {
    const testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    World world(seed);
    world.begin_to_lie(lie);
    world.run_with_faults(std::chrono::seconds(30));
    world.run_quietly(std::chrono::seconds(25));
  }
  for (int i = 0; i < results.size(); ++i) {
    const std::string message = results.GetTestPartResult(i).message();
    if (message.find(verdict) != std::string::npos) return message;
  }
  return {};
}

class TheJudge : public testing::TestWithParam<Case> {};

TEST_P(TheJudge, SeesIt) {
  const auto& [name, lie, verdict] = GetParam();
  constexpr std::uint64_t kSeeds = 200;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const std::string message = said(seed, lie, verdict);
    if (message.empty()) continue;
    fmt::print("seed {}: {}\n", seed, message);
    EXPECT_EQ(said(seed, lie, verdict), message) << "the seed does not replay";
    EXPECT_EQ(said(seed, Lie::kNone, verdict), "") << "it says so in any case";
    return;
  }
  FAIL() << "not seen in " << kSeeds << " seeds";
}

constexpr const char* kThere = "is at a router, and the PoP cannot serve it";
constexpr const char* kMissing = "is missing at every router";
constexpr const char* kOrder = "at the routers against order";
INSTANTIATE_TEST_SUITE_P(Lies, TheJudge,
                         testing::Values(Case{"DeadDataplaneUnseen", Lie::kDataplaneNeverDies, kThere},
                                         Case{"AnnouncementsLost", Lie::kAnnouncementsAreLost, kMissing},
                                         Case{"WithdrawalsLost", Lie::kWithdrawalsAreLost, kThere},
                                         Case{"WithdrawHoldsNotCarriedOut", Lie::kWithdrawalsAreLost, kOrder},
                                         Case{"DriftUnseen", Lie::kBirdKeepsEveryOrder, kMissing},
                                         Case{"DriftUnseenWhileItCannotServe", Lie::kBirdKeepsEveryOrder, kThere},
                                         Case{"HoldsForgottenAtAStart", Lie::kHoldsAreForgottenAtAStart, kOrder},
                                         Case{"HoldsComeBack", Lie::kHoldsComeBack, kMissing},
                                         Case{"DrainHoldsUnknown", Lie::kDrainHoldsAreUnknown, kOrder},
                                         Case{"HoldDownsNeverEnd", Lie::kHoldDownsNeverEnd, kMissing}),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace anypop::healthmon::sim
