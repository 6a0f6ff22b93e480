// SPDX-License-Identifier: Apache-2.0
#include "anypop_bench/measure.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <numeric>
#include <utility>

#include "base/text.h"
#include "l4lb/pipeline.h"

namespace anypop::bench {
namespace {

using l4lb_bench::kBurst;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t kBursts = 256;  // in one turn of a loop: long against reading the clock
constexpr double kPackets = static_cast<double>(kBursts * kBurst);

double steady_ns() {
  return static_cast<double>(duration_cast<nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

// Finer than a clock, and read in a few ns.
std::uint64_t read_ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

// What steady_ns() takes itself.
double measure_reading_ns() {
  constexpr int kReadings = 100'000;
  const double begin = steady_ns();
  for (int i = 1; i < kReadings; ++i) (void)steady_ns();
  return (steady_ns() - begin) / kReadings;
}

void keep(const void* pointer) { asm volatile("" : : "r"(pointer) : "memory"); }

l4lb::SnapshotInput input_of(const Case& one, const std::vector<ServiceConfig>& services) {
  l4lb::SnapshotInput input = l4lb_bench::all_healthy(services);
  for (auto& backends : input.backends) {
    for (l4lb::BackendState& backend : backends) {
      if (one.situation == Situation::kNobody) backend.healthy = false;
      if (one.situation == Situation::kNoMac) backend.next_hop_mac.reset();
    }
  }
  return input;
}

std::uint64_t clock_ms() { return static_cast<std::uint64_t>(now().wall_ns / 1'000'000); }

// The pool before and after the change.
std::array<l4lb::SnapshotInput, 2> inputs_of(const Case& one, const std::vector<ServiceConfig>& services) {
  std::array inputs = {input_of(one, services), input_of(one, services)};
  for (std::size_t i = 0; i < services.size(); ++i) {
    auto& before = inputs[0].backends[i];
    auto& after = inputs[1].backends[i];
    if (one.change == Change::kFailure) after.front().healthy = false;
    if (one.change == Change::kReturn) before.front().healthy = false;
    if (one.change == Change::kEveryone) {
      for (std::size_t b = 0; b < before.size(); ++b) (b % 2 == 0 ? before : after)[b].weight_permille = 0;
    }
  }
  return inputs;
}

std::shared_ptr<const l4lb::Snapshot> make_snapshot(const Case& one, const std::vector<ServiceConfig>& services) {
  l4lb::SnapshotBuilder builder(services, {1, 2, 3});
  std::shared_ptr<const l4lb::Snapshot> snapshot;
  for (l4lb::SnapshotInput& input : inputs_of(one, services)) {
    input.now_ms = clock_ms();
    snapshot = builder.build(input);
  }
  return snapshot;
}

// Room for twice the flows.
EngineConfig engine_for(const Case& one) {
  return {.flow_records =
              static_cast<unsigned>(std::bit_ceil(std::max<std::size_t>(1U << 20U, 2 * one.traffic.flows)))};
}

// Everything that a case needs.
class Bench {
 public:
  explicit Bench(const Case& one)
      : fresh_(one.situation == Situation::kFresh),
        services_(l4lb_bench::make_services(one.services)),
        snapshot_(make_snapshot(one, services_)),
        traffic_(l4lb_bench::make_traffic(one.traffic)),
        counters_(services_),
        state_(engine_for(one)) {}

  // Both in ns a packet.
  struct Times {
    double receive = 0;
    double process = 0;
  };
  Times receive_and_process() {
    Times times;
    const auto now_ms = static_cast<std::uint32_t>(clock_ms());
    for (std::size_t i = 0; i < kBursts; ++i) {
      const auto begin = steady_ns();
      const auto packets = pool_.receive(traffic_, fresh_);
      const auto received = steady_ns();
      process_burst(*snapshot_, packets, now_ms, state_, counters_);
      const auto processed = steady_ns();
      times.receive += received - begin;
      times.process += processed - received;
    }
    packets_ += kBursts * kBurst;
    times.receive = times.receive / kPackets - reading_ns_ / kBurst;
    times.process = times.process / kPackets - reading_ns_ / kBurst;
    return times;
  }
  // What each stage takes, in ns a packet.
  std::array<double, kStages.size()> time_stages() {
    l4lb::StageTicks ticks;
    const auto now_ms = static_cast<std::uint32_t>(clock_ms());
    double total = 0;
    for (std::size_t i = 0; i < kBursts; ++i) {
      const auto packets = pool_.receive(traffic_, fresh_);
      const double received = steady_ns();
      process_burst_timed(*snapshot_, packets, now_ms, state_, counters_, read_ticks, ticks);
      total += steady_ns() - received - reading_ns_;
    }
    packets_ += kBursts * kBurst;
    std::array stages = {ticks.parse, ticks.hash, ticks.slot, ticks.track, ticks.forward};
    const double all = static_cast<double>(std::accumulate(stages.begin(), stages.end(), std::uint64_t{0}));
    std::array<double, kStages.size()> ns{};
    std::ranges::transform(stages, ns.begin(),
                           [&](std::uint64_t part) { return static_cast<double>(part) / all * total / kPackets; });
    return ns;
  }
  std::uint64_t packets() const { return packets_; }
  std::uint64_t tracked() const { return counters_.flows().hits + counters_.flows().inserted; }
  std::uint64_t counted(l4lb::Verdict verdict) const { return counters_.verdict(verdict); }
  std::size_t turns_of_all_flows() const { return traffic_.packets / (kBursts * kBurst) + 1; }

 private:
  bool fresh_;
  std::vector<ServiceConfig> services_;
  std::shared_ptr<const l4lb::Snapshot> snapshot_;
  l4lb_bench::Traffic traffic_;
  l4lb::Counters counters_;
  l4lb::WorkerState state_;
  l4lb_bench::Pool pool_;
  std::uint64_t packets_ = 0;
  double reading_ns_ = measure_reading_ns();
};

// ns for each of `count` calls of `step`, the fastest of many rounds.
template <class Step>
double fastest(milliseconds budget, std::size_t count, Step step) {
  double best = 1e9;
  const Moment start = now();
  do {
    const Moment before = now();
    for (std::size_t i = 0; i < count; ++i) step(i);
    best = std::min(best, static_cast<double>(now().cpu_ns - before.cpu_ns) / static_cast<double>(count));
  } while (now().wall_ns - start.wall_ns < nanoseconds(budget).count());
  return best;
}

}  // namespace

namespace {

Result attempt(Bench& bench, milliseconds budget) {
  std::vector<double> received;
  std::vector<double> processed;
  const std::uint64_t packets_before = bench.packets();
  const std::uint64_t tracked_before = bench.tracked();
  const Moment start = now();
  Moment end = start;
  while (end.wall_ns - start.wall_ns < nanoseconds(budget).count() || processed.size() < 10) {
    const Bench::Times times = bench.receive_and_process();
    received.push_back(times.receive);
    processed.push_back(times.process);
    end = now();
  }
  const std::uint64_t packets = bench.packets() - packets_before;
  const Spread spread = spread_of(std::move(processed));
  return {
      .ns = spread.median,
      .p10 = spread.p10,
      .p90 = spread.p90,
      .receive_ns = spread_of(std::move(received)).median,
      .cpu_share = static_cast<double>(end.cpu_ns - start.cpu_ns) / static_cast<double>(end.wall_ns - start.wall_ns),
      .tracked = static_cast<double>(bench.tracked() - tracked_before) / static_cast<double>(packets),
      .packets = packets,
      .stage_ns = std::nullopt};
}

std::array<double, kStages.size()> stages_of(Bench& bench, milliseconds budget) {
  std::array<std::vector<double>, kStages.size()> turns;
  const Moment start = now();
  while (now().wall_ns - start.wall_ns < nanoseconds(budget).count() || turns[0].size() < 10) {
    const auto turn = bench.time_stages();
    for (std::size_t i = 0; i < turn.size(); ++i) turns[i].push_back(turn[i]);
  }
  std::array<double, kStages.size()> medians{};
  for (std::size_t i = 0; i < turns.size(); ++i) medians[i] = spread_of(std::move(turns[i])).median;
  return medians;
}

}  // namespace

absl::StatusOr<Result> measure(const Case& one, milliseconds budget) {
  constexpr int kAttempts = 3;
  const auto bench = std::make_unique<Bench>(one);
  for (std::size_t i = 0; i < bench->turns_of_all_flows(); ++i) bench->receive_and_process();
  Result best = attempt(*bench, budget);
  for (int i = 1; i < kAttempts && !best.calm(); ++i) {
    const Result again = attempt(*bench, budget);
    if (again.p90 / again.p10 < best.p90 / best.p10) best = again;
  }
  if (one.by_stage) best.stage_ns = stages_of(*bench, budget);
  if (bench->counted(expected_verdict(one)) != bench->packets()) {
    return internal_error("{} / {}: {} of {} packets were not '{}'", one.group, one.name,
                          bench->packets() - bench->counted(expected_verdict(one)), bench->packets(),
                          verdict_name(expected_verdict(one)));
  }
  return best;
}

References measure_references(milliseconds budget) {
  constexpr std::size_t kBytes = 64;
  constexpr std::size_t kLines = (256U << 20U) / kBytes;
  constexpr std::size_t kSteps = 1U << 18U;
  l4lb_bench::Buffer memory(kLines * kBytes);
  std::array<std::byte, 64 * kBytes> hot{};
  References out;
  out.copy_hot = fastest(budget, kSteps, [&](std::size_t i) {
    std::memcpy(&hot[(i % 32) * kBytes], &hot[(32 + i % 32) * kBytes], kBytes);
    keep(hot.data());
  });
  std::size_t line = 0;
  out.copy_cold = fastest(budget, kSteps, [&](std::size_t i) {
    std::memcpy(&hot[(i % 32) * kBytes], memory.data() + line * kBytes, kBytes);
    line = (line + 1) % kLines;
    keep(hot.data());
  });
  std::uint64_t random = 1;
  std::array<const std::byte*, kBurst> places{};
  out.random_read = fastest(budget, kSteps / kBurst,
                            [&](std::size_t) {
                              for (const std::byte*& place : places) {
                                random = random * 6364136223846793005ULL + 1442695040888963407ULL;
                                place = memory.data() + (random >> 40U) % kLines * kBytes;
                                __builtin_prefetch(place);
                              }
                              unsigned sum = 0;
                              for (const std::byte* place : places) sum += std::to_integer<unsigned>(*place);
                              keep(&sum);
                            }) /
                    static_cast<double>(kBurst);
  return out;
}

}  // namespace anypop::bench
