// SPDX-License-Identifier: Apache-2.0
// MonitorCore in a simulated PoP, for thousands of seeds. A failure names its seed; ANYPOP_SEED=n runs that one alone.
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "base/text.h"
#include "sim_world.h"

namespace anypop::healthmon::sim {
namespace {

constexpr unsigned kSeeds = 2000;

class MonitorSimulation : public testing::Test {
 protected:
  void run(std::uint64_t seed) {
    SCOPED_TRACE(fmt::format("repeat with: ANYPOP_SEED={} healthmon_sim_test", seed));
    World world(seed);
    world.run_with_faults(std::chrono::seconds(20));
    if (HasFailure()) return;
    world.run_quietly(std::chrono::seconds(15));
    if (HasFailure()) return;
    world.expect_converged();
    commands += world.commands;
    announcements += world.announcements;
  }

  std::uint64_t commands = 0;
  std::uint64_t announcements = 0;
};

TEST_F(MonitorSimulation, KeepsItsInvariantsAndConverges) {
  if (const char* only = std::getenv("ANYPOP_SEED")) return run(std::strtoull(only, nullptr, 10));
  const std::uint64_t first = std::random_device{}();
  fmt::print("seeds {} to {}\n", first, first + kSeeds - 1);
  for (std::uint64_t seed = first; seed < first + kSeeds && !HasFailure(); ++seed) run(seed);
  fmt::print("{} commands, {} of them announcements\n", commands, announcements);
  EXPECT_GT(announcements, kSeeds) << "the simulation must exercise what it checks";
}

}  // namespace
}  // namespace anypop::healthmon::sim
