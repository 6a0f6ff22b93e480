// SPDX-License-Identifier: Apache-2.0
// Building a Maglev table: backends, slots, and whether the weights are equal.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "maglev.h"

namespace anypop::l4lb {
namespace {

std::vector<MaglevMember> members(std::int64_t count, bool equal) {
  std::vector<MaglevMember> result;
  for (std::int64_t i = 0; i < count; ++i) {
    result.push_back({.name = fmt::format("backend-{}", i),
                      .weight = equal ? 1 : static_cast<unsigned>(1 + i * 7919 % 1000),
                      .backend = static_cast<std::uint16_t>(i)});
  }
  return result;
}

void build(benchmark::State& state) {
  const auto of = members(state.range(0), state.range(2) != 0);
  for (auto _ : state) benchmark::DoNotOptimize(build_maglev(of, static_cast<std::uint32_t>(state.range(1))));
}
BENCHMARK(build)
    ->ArgNames({"backends", "slots", "equal"})
    ->ArgsProduct({{1, 10, 100, 1000}, {65537}, {1, 0}})
    ->Args({100, 655373, 1})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace anypop::l4lb
