// SPDX-License-Identifier: Apache-2.0
// PoPs with keep_last that see one another with delays, and fail and recover as they like: whatever happens, the prefix
// is never withdrawn by all of them. For many seeds; ANYPOP_SEED=n runs that one alone.
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "base/text.h"
#include "healthmon/policy.h"

namespace anypop::healthmon {
namespace {

using bgpctl::Level;

constexpr std::size_t kPops = 3;
constexpr int kStepMs = 100;
constexpr int kSteps = 2000;
constexpr std::uint64_t kSeeds = 100;
// Routes travel faster than a fault is believed: that is what the rule rests on.
constexpr int kDelayMaxSteps = static_cast<int>(kLastAnnouncerWait.count()) / kStepMs - 1;

class Fleet {
 public:
  explicit Fleet(std::uint64_t seed) : random_(seed) {
    config_.services = {{.name = "web", .backends = {{.name = "b1"}}}};
    config_.announcements = {
        {.name = "web", .services = {"web"}, .hold_down_ms = 2000, .flaps = {.half_life_s = 20}, .keep_last = true}};
    for (Pop& pop : pops_) {
      pop.facts.first_round_done = true;
      pop.facts.dataplane.condition = DataplaneFacts::Condition::kAlive;
      pop.facts.dataplane.next_hops_known = true;
      pop.facts.backends = {{{Health::kHealthy, true}}};
      pop.facts.routing.resize(1);
      pop.levels.assign(kDelayMaxSteps + 1, Level::kAnnounced);
      pop.memory.level = Level::kAnnounced;
      for (int& delay : pop.delay_steps) delay = static_cast<int>(random_() % (kDelayMaxSteps + 1));
    }
  }

  void step(int number) {
    // Now and then everything fails within an instant, as it does when the fault is shared.
    const bool disaster = random_() % 400 == 0;
    for (Pop& pop : pops_) {
      if (disaster || random_() % 60 == 0) pop.healthy = false;
      if (!disaster && random_() % 60 == 0) pop.healthy = true;
      pop.facts.backends[0][0].health = pop.healthy ? Health::kHealthy : Health::kUnhealthy;
      pop.facts.routing[0].others = false;
      for (std::size_t other = 0; other < kPops; ++other) {
        const std::vector<Level>& levels = pops_[other].levels;
        const auto back = static_cast<std::size_t>(pop.delay_steps[other]) + 1;
        if (&pops_[other] != &pop && levels[levels.size() - back] == Level::kAnnounced)
          pop.facts.routing[0].others = true;
      }
    }
    const SteadyTime now = SteadyTime(std::chrono::hours(1)) + Milliseconds(number * kStepMs);
    std::size_t in = 0;
    for (Pop& pop : pops_) {
      const Decision decision = decide(config_, 0, pop.facts, std::nullopt, pop.memory, now);
      pop.memory = decision.memory;
      pop.levels.push_back(decision.level);
      in += decision.announced() ? 1U : 0U;
      withdrawals += decision.announced() ? 0U : 1U;
    }
    EXPECT_GE(in, 1U) << "nobody announces it any more, at step " << number;
  }

  std::uint64_t withdrawals = 0;

 private:
  struct Pop {
    Facts facts;
    PolicyMemory memory;
    bool healthy = true;
    std::vector<Level> levels;    // one a step
    int delay_steps[kPops] = {};  // after which it sees the others
  };
  std::mt19937_64 random_;
  PopConfig config_;
  Pop pops_[kPops];
};

TEST(LastAnnouncer, SomebodyAlwaysStays) {
  const char* only = std::getenv("ANYPOP_SEED");
  const std::uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : std::random_device{}();
  const std::uint64_t count = only != nullptr ? 1 : kSeeds;
  fmt::print("seeds {} to {}\n", first, first + count - 1);
  std::uint64_t withdrawals = 0;
  for (std::uint64_t seed = first; seed < first + count && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("repeat with: ANYPOP_SEED={}", seed));
    Fleet fleet(seed);
    for (int number = 0; number < kSteps && !testing::Test::HasFailure(); ++number) fleet.step(number);
    withdrawals += fleet.withdrawals;
  }
  EXPECT_GT(withdrawals, count * kSteps / 10) << "they must withdraw when others are there";
}

}  // namespace
}  // namespace anypop::healthmon
