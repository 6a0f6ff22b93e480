// SPDX-License-Identifier: Apache-2.0
#include "anypop_bench/measure.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include "base/text.h"
#include "l4lb/pipeline.h"

namespace anypop::bench {
namespace {

using l4lb_bench::kBurst;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t kBursts = 256;  // in one turn of a loop: long against reading the clock
constexpr double kPackets = static_cast<double>(kBursts * kBurst);

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

std::shared_ptr<const l4lb::Snapshot> make_snapshot(const Case& one, const std::vector<ServiceConfig>& services) {
  l4lb::SnapshotBuilder builder(services, {1, 2, 3});
  l4lb::SnapshotInput input = input_of(one, services);
  input.now_ms = clock_ms();
  auto snapshot = builder.build(input);
  if (!one.change) return snapshot;
  for (auto& backends : input.backends) backends.front().healthy = false;
  return builder.build(input);
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

  double receive() {  // ns a packet
    const Moment before = now();
    for (std::size_t i = 0; i < kBursts; ++i) keep(pool_.receive(traffic_, fresh_).data());
    return static_cast<double>(now().cpu_ns - before.cpu_ns) / kPackets;
  }
  double receive_and_process() {
    const Moment before = now();
    const auto now_ms = static_cast<std::uint32_t>(clock_ms());
    for (std::size_t i = 0; i < kBursts; ++i) {
      process_burst(*snapshot_, pool_.receive(traffic_, fresh_), now_ms, state_, counters_);
    }
    packets_ += kBursts * kBurst;
    return static_cast<double>(now().cpu_ns - before.cpu_ns) / kPackets;
  }
  std::uint64_t packets() const { return packets_; }
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

absl::StatusOr<Result> measure(const Case& one, milliseconds budget) {
  const auto bench = std::make_unique<Bench>(one);
  for (std::size_t i = 0; i < bench->turns_of_all_flows(); ++i) bench->receive_and_process();
  std::vector<double> received;
  std::vector<double> both;
  const Moment start = now();
  Moment end = start;
  while (end.wall_ns - start.wall_ns < nanoseconds(budget).count() || both.size() < 10) {
    received.push_back(bench->receive());
    both.push_back(bench->receive_and_process());
    end = now();
  }
  if (bench->counted(expected_verdict(one)) != bench->packets()) {
    return internal_error("{} / {}: {} of {} packets were not '{}'", one.group, one.name,
                          bench->packets() - bench->counted(expected_verdict(one)), bench->packets(),
                          verdict_name(expected_verdict(one)));
  }
  const double receive_ns = spread_of(std::move(received)).median;
  const Spread spread = spread_of(std::move(both));
  return Result{
      .ns = spread.median - receive_ns,
      .p10 = spread.p10 - receive_ns,
      .p90 = spread.p90 - receive_ns,
      .receive_ns = receive_ns,
      .cpu_share = static_cast<double>(end.cpu_ns - start.cpu_ns) / static_cast<double>(end.wall_ns - start.wall_ns),
      .packets = bench->packets()};
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
