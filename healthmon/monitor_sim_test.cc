// SPDX-License-Identifier: Apache-2.0
// MonitorCore in a simulated PoP, for thousands of seeds. A failure names its seed; ANYPOP_SEED=n runs that one alone.
#include <algorithm>
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
constexpr unsigned kTroubledSeeds = 50;
constexpr unsigned kParts = 2;
constexpr unsigned kDaysSeeds = 2;

class MonitorSimulation : public testing::TestWithParam<unsigned> {
 protected:
  void run(std::uint64_t seed, void (World::*trouble)() = nullptr) {
    SCOPED_TRACE(fmt::format("repeat with: ANYPOP_SEED={} healthmon_sim_test", seed));
    World world(seed);
    if (trouble != nullptr) (world.*trouble)();
    world.run_with_faults(std::chrono::seconds(20));
    if (HasFailure()) return;
    world.run_quietly(std::chrono::seconds(25));
    if (HasFailure()) return;
    world.expect_converged();
    commands += world.commands;
    announcements += world.announcements;
    second_opinions += world.second_opinions();
    kept_last += world.kept_last();
    updates += world.updates();
    longest_wrong = std::max(longest_wrong, world.longest_wrongly_there());
    longest_missing = std::max(longest_missing, world.longest_missing());
    longest_against_order = std::max(longest_against_order, world.longest_against_order());
    falls += world.falls();
    latches += world.latches();
  }

  std::uint64_t commands = 0;
  std::uint64_t announcements = 0;
  std::uint64_t second_opinions = 0;
  std::uint64_t kept_last = 0;
  std::uint64_t falls = 0;
  std::uint64_t latches = 0;
  std::uint64_t updates = 0;
  std::int64_t longest_wrong = 0;  // ms
  std::int64_t longest_missing = 0;
  std::int64_t longest_against_order = 0;
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
  fmt::print(
      "{} updates at the routers; a route was there for at most {} ms too long, missing for {} ms, and against an "
      "order for {} ms\n",
      updates, longest_wrong, longest_missing, longest_against_order);
  EXPECT_GT(longest_against_order, 100) << "the simulation must exercise what it checks";
  EXPECT_GT(longest_wrong, 1000) << "the simulation must exercise what it checks";
  EXPECT_GT(longest_missing, 1000) << "the simulation must exercise what it checks";
  fmt::print("{} commands, {} of them announcements; {} second opinions; {} falls, {} latches, {} decisions to keep\n",
             commands, announcements, second_opinions, falls, latches, kept_last);
  EXPECT_GT(latches, kSeeds / 500) << "the simulation must exercise what it checks";
  EXPECT_GT(kept_last, kSeeds / 20) << "the simulation must exercise what it checks";
  EXPECT_GT(second_opinions, kSeeds / 20) << "the simulation must exercise what it checks";
  EXPECT_GT(announcements, kSeeds) << "the simulation must exercise what it checks";
}

// Whatever else happens meanwhile: a hundred times a second BIRD reads the state files anew.
TEST_P(MonitorSimulation, AStormOfConfiguresChangesNothing) {
  if (std::getenv("ANYPOP_SEED") != nullptr) return;
  const std::uint64_t first = std::random_device{}();
  fmt::print("seeds {} to {}\n", first, first + kTroubledSeeds - 1);
  for (std::uint64_t seed = first; seed < first + kTroubledSeeds && !HasFailure(); ++seed) {
    run(seed, &World::storm_of_configures);
  }
}

// A BIRD that runs is withdrawn all the same, and one that cannot start announces nothing.
TEST_P(MonitorSimulation, ABrokenBirdConfChangesNothing) {
  if (std::getenv("ANYPOP_SEED") != nullptr) return;
  const std::uint64_t first = std::random_device{}();
  fmt::print("seeds {} to {}\n", first, first + kTroubledSeeds - 1);
  for (std::uint64_t seed = first; seed < first + kTroubledSeeds && !HasFailure(); ++seed) {
    run(seed, &World::break_bird_conf);
  }
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

// Days of faults and of quiet in turns, so that what adds up is found (counters, queues, penalties), and what takes its
// time: hold-downs, latches, orders with an end. ANYPOP_SIM_DAYS says how many, ANYPOP_SEED which.
class MonitorDays : public testing::TestWithParam<unsigned> {};

TEST_P(MonitorDays, KeepItsInvariantsConvergeAndKeepItsMemory) {
  const char* const only = std::getenv("ANYPOP_SEED");
  const char* const days = std::getenv("ANYPOP_SIM_DAYS");
  const std::uint64_t seed = only == nullptr ? std::random_device{}() : std::strtoull(only, nullptr, 10);
  fmt::print("seed {}\n", seed);
  SCOPED_TRACE(fmt::format("repeat with: ANYPOP_SEED={} healthmon_sim_test --gtest_filter='*MonitorDays*/0'", seed));
  const std::chrono::hours duration(24 * (days == nullptr ? 3 : std::atoi(days)));
  std::mt19937_64 random(seed);
  const auto up_to = [&](Milliseconds most) {
    return Milliseconds(std::uniform_int_distribution<>(0, static_cast<int>(most.count()))(random));
  };
  World world(seed, Pace::kDays);
  std::size_t early = 0;
  unsigned episodes = 0;
  for (Milliseconds done{0}; done < duration && !HasFailure(); ++episodes) {
    const Milliseconds faults = std::chrono::seconds(20) + up_to(std::chrono::seconds(200));
    const Milliseconds quiet = std::chrono::minutes(1) + up_to(std::chrono::minutes(episodes % 8 == 0 ? 60 : 5));
    world.run_with_faults(faults);
    if (!HasFailure()) world.run_quietly(quiet);
    if (!HasFailure()) world.expect_converged();
    done += faults + quiet;
    if (early == 0 && done > duration / 3) early = allocated_bytes();
  }
  if (HasFailure()) return;
  fmt::print("{} episodes, {} steps, {} commands, {} updates at the routers, {} falls, {} latches\n", episodes,
             world.steps(), world.commands, world.updates(), world.falls(), world.latches());
  fmt::print("a route was there for at most {} ms too long, missing for {} ms, and against an order for {} ms\n",
             world.longest_wrongly_there(), world.longest_missing(), world.longest_against_order());
  fmt::print("allocated after a third of the run {} bytes, after all of it {}\n", early, allocated_bytes());
  EXPECT_LE(allocated_bytes(), early + 256 * 1024);
  EXPECT_GT(world.updates(), 100U) << "it must be an eventful run";
}
INSTANTIATE_TEST_SUITE_P(Seeds, MonitorDays, testing::Range(0U, kDaysSeeds));

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
