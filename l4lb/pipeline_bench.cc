// SPDX-License-Identifier: Apache-2.0
// ns/packet of the whole engine on 64-byte TCP packets in bursts of 32, from l4lb_bench. The cost of bringing packets
// in is measured by `stamp` alone: subtract it. `anypop bench` does so by itself, and measures more.
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "flow_hash.h"
#include "l4lb/pipeline.h"
#include "l4lb_bench/traffic.h"

namespace anypop::l4lb {
namespace {

using l4lb_bench::kBurst;
using l4lb_bench::make_traffic;
using l4lb_bench::Pool;
using l4lb_bench::Traffic;

void set_rate(benchmark::State& state) {
  const auto packets = static_cast<double>(state.iterations()) * kBurst;
  state.counters["ns/packet"] =
      benchmark::Counter(packets / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

template <Family family>
void stamp(benchmark::State& state) {
  const Traffic load = make_traffic({.family = family, .flows = static_cast<std::size_t>(state.range(0))});
  Pool pool;
  for (auto _ : state) benchmark::DoNotOptimize(pool.receive(load).data());
  set_rate(state);
}

template <Family family, Forwarding forwarding = Forwarding::kL2, Family outer = family>
void engine(benchmark::State& state) {
  const auto flows = static_cast<std::size_t>(state.range(0));
  const auto services = l4lb_bench::make_services({.family = family,
                                                   .services = static_cast<std::size_t>(state.range(1)),
                                                   .backends = static_cast<std::size_t>(state.range(2)),
                                                   .forwarding = forwarding,
                                                   .outer = outer});
  const auto snapshot = SnapshotBuilder(services, {1, 2, 3}).build(l4lb_bench::all_healthy(services));
  const Traffic load = make_traffic({.family = family, .flows = flows, .services = services.size()});
  Counters counters(services);
  Pool pool;
  WorkerState worker{EngineConfig{}};
  for (auto _ : state) process_burst(*snapshot, pool.receive(load), 0, worker, counters);
  if (counters.verdict(Verdict::kForward) != static_cast<std::uint64_t>(state.iterations()) * kBurst) {
    state.SkipWithError("not every packet was forwarded");
  }
  set_rate(state);
}

template <class F>
void hash(benchmark::State& state) {
  const auto engine = static_cast<AesEngine>(state.range(0));
  if (!supported(engine)) return state.SkipWithError("not on this processor");
  const FlowHash of({1, 2, 3}, engine);
  std::vector<Flow<F>> flows(kBurst);
  std::vector<std::uint64_t> hashes(kBurst);
  for (auto _ : state) {
    of.hash(flows, hashes);
    benchmark::DoNotOptimize(hashes.data());
    benchmark::ClobberMemory();
  }
  state.SetLabel(std::string(aes_engine_name(engine)));
  set_rate(state);
}

void engine_arguments(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"flows", "services", "backends"});
  for (const int flows : {1000, 1'000'000}) bench->Args({flows, 1, 10});
  bench->Args({1'000'000, 1, 100});
  bench->Args({1'000'000, 500, 10});
}

BENCHMARK(stamp<Family::kV4>)->ArgName("flows")->Arg(1000)->Arg(1'000'000);
BENCHMARK(engine<Family::kV4>)->Apply(engine_arguments);
BENCHMARK(stamp<Family::kV6>)->ArgName("flows")->Arg(1000)->Arg(1'000'000);
BENCHMARK(engine<Family::kV6>)->Apply(engine_arguments);

void tunnel_arguments(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"flows", "services", "backends"})->Args({1'000'000, 1, 10});
}
constexpr Family k4 = Family::kV4;
constexpr Family k6 = Family::kV6;
BENCHMARK(engine<k4, Forwarding::kIpip, k4>)->Apply(engine_arguments);
BENCHMARK(engine<k4, Forwarding::kIpip, k6>)->Apply(tunnel_arguments);
BENCHMARK(engine<k6, Forwarding::kIpip, k4>)->Apply(tunnel_arguments);
BENCHMARK(engine<k6, Forwarding::kIpip, k6>)->Apply(tunnel_arguments);
BENCHMARK(engine<k4, Forwarding::kGre, k4>)->Apply(tunnel_arguments);
BENCHMARK(engine<k6, Forwarding::kGre, k6>)->Apply(tunnel_arguments);
BENCHMARK(engine<k4, Forwarding::kGue, k4>)->Apply(tunnel_arguments);
BENCHMARK(engine<k6, Forwarding::kGue, k6>)->Apply(tunnel_arguments);
BENCHMARK(hash<V4>)->ArgName("engine")->DenseRange(0, 2);
BENCHMARK(hash<V6>)->ArgName("engine")->DenseRange(0, 2);

}  // namespace
}  // namespace anypop::l4lb
