// SPDX-License-Identifier: Apache-2.0
// MonitorCore in a simulated PoP, for thousands of seeds. A failure names its seed; ANYPOP_SEED=n runs that one alone.
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

#include <gtest/gtest.h>
#if defined(__SANITIZE_ADDRESS__)
// GCC brings the function, but not Clang's header for it.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();  // NOLINT(bugprone-reserved-identifier)
#else
#include <malloc.h>
#endif

#include "base/text.h"
#include "sim_world.h"

namespace anypop::healthmon::sim {
namespace {

constexpr unsigned kSeeds = 1000;  // of each part; parts run beside each other
constexpr unsigned kParts = 2;

class MonitorSimulation : public testing::TestWithParam<unsigned> {
 protected:
  void run(std::uint64_t seed) {
    SCOPED_TRACE(fmt::format("repeat with: ANYPOP_SEED={} healthmon_sim_test", seed));
    World world(seed);
    world.run_with_faults(std::chrono::seconds(20));
    if (HasFailure()) return;
    world.run_quietly(std::chrono::seconds(25));
    if (HasFailure()) return;
    world.expect_converged();
    commands += world.commands;
    announcements += world.announcements;
    second_opinions += world.second_opinions();
    kept_last += world.kept_last();
    falls += world.falls();
    latches += world.latches();
  }

  std::uint64_t commands = 0;
  std::uint64_t announcements = 0;
  std::uint64_t second_opinions = 0;
  std::uint64_t kept_last = 0;
  std::uint64_t falls = 0;
  std::uint64_t latches = 0;
};

// Seeds that have found something. What they replay changes with the simulation, so each fault has a timeline as well.
TEST_P(MonitorSimulation, SeedsThatHaveFailedOnce) {
  if (GetParam() != 0) return;
  for (const std::uint64_t seed : {362483398U, 444918991U, 1866347722U, 3891535060U}) run(seed);
}

TEST_P(MonitorSimulation, KeepsItsInvariantsAndConverges) {
  if (const char* only = std::getenv("ANYPOP_SEED")) return run(std::strtoull(only, nullptr, 10));
  const std::uint64_t first = std::random_device{}();
  fmt::print("seeds {} to {}\n", first, first + kSeeds - 1);
  for (std::uint64_t seed = first; seed < first + kSeeds && !HasFailure(); ++seed) run(seed);
  fmt::print("{} commands, {} of them announcements; {} second opinions; {} falls, {} latches, {} decisions to keep\n",
             commands, announcements, second_opinions, falls, latches, kept_last);
  EXPECT_GT(latches, kSeeds / 500) << "the simulation must exercise what it checks";
  EXPECT_GT(kept_last, kSeeds / 20) << "the simulation must exercise what it checks";
  EXPECT_GT(second_opinions, kSeeds / 20) << "the simulation must exercise what it checks";
  EXPECT_GT(announcements, kSeeds) << "the simulation must exercise what it checks";
}
INSTANTIATE_TEST_SUITE_P(Parts, MonitorSimulation, testing::Range(0U, kParts));

// What this process has allocated and not given back.
std::size_t allocated_bytes() {
#if defined(__SANITIZE_ADDRESS__)
  return __sanitizer_get_current_allocated_bytes();
#else
  return ::mallinfo2().uordblks;
#endif
}

// A month of probes, of backends that fail and return, of drains and dataplane restarts, and no new memory.
TEST(MonitorMonth, MemoryIsFlat) {
  PopConfig config;
  config.monitor = {.heartbeat_interval_ms = 10'000, .heartbeat_timeout_ms = 30'000};
  config.services = {{.name = "web4",
                      .backends = {{.name = "b1"}, {.name = "b2"}, {.name = "b3"}},
                      .probes = {{.name = "http", .interval_ms = 10'000}, {.name = "tcp", .interval_ms = 10'000}},
                      .slow_start_ms = 60'000}};
  config.announcements = {{.name = "web", .prefixes = {*IpPrefix::parse("198.51.100.0/24")}, .services = {"web4"}}};
  std::mt19937_64 random(1);
  BirdModel bird(config);
  DataplaneModel dataplane(config);
  const auto at = [](std::int64_t second) {
    return Now{SteadyTime(std::chrono::hours(1) + std::chrono::seconds(second)), 1'800'000'000'000 + second * 1000};
  };
  MonitorCore core(config, bird.state_files(), {}, at(0));
  std::uint64_t records = 0;
  const auto take = [&](const Actions& actions) {
    for (const Action& action : actions) records += std::holds_alternative<Record>(action) ? 1U : 0U;
  };
  std::size_t after_a_day = 0;
  constexpr std::int64_t kDay = 86'400;
  for (std::int64_t second = 0; second <= 30 * kDay; second += 10) {
    const Now now = at(second);
    if (second % 3600 == 0) dataplane.restart();
    take(core.on_heartbeat(dataplane.heartbeat(), now));
    take(core.on_dataplane_state(dataplane.state(), now));
    take(core.on_health_pushed(absl::OkStatus(), now));
    take(core.on_bird(bird.look(), bird.state_files(), now));
    take(core.on_holds(Holds{std::optional<bgpctl::Hold>()}, now));
    const bool drain = second / 7200 % 2 == 1;
    take(core.on_drains(drain ? std::vector<DrainOrder>{{"web4", "b1", "r", "w", 0, {}}} : std::vector<DrainOrder>{},
                        now));
    for (std::size_t probe = 0; probe < 6; ++probe) {
      const bool ok = (second / 300 + static_cast<std::int64_t>(probe / 2)) % 7 != 0 && random() % 50 != 0;
      take(core.on_probe({0, probe / 2, probe % 2}, {ok, ok ? "HTTP 200" : "connection refused"}, now));
    }
    (void)core.state_json(now);
    if (second == kDay) after_a_day = allocated_bytes();
  }
  fmt::print("allocated after a day {} bytes, after a month {}; {} events\n", after_a_day, allocated_bytes(), records);
  EXPECT_GT(records, 5'000U) << "the month must be an eventful one";
  EXPECT_LE(allocated_bytes(), after_a_day + 4096);
}

}  // namespace
}  // namespace anypop::healthmon::sim
