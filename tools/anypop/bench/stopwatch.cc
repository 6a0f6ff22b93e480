// SPDX-License-Identifier: Apache-2.0
#include "anypop_bench/stopwatch.h"

#include <algorithm>
#include <ctime>

namespace anypop::bench {
namespace {

std::int64_t read(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

}  // namespace

Moment now() { return {.cpu_ns = read(CLOCK_THREAD_CPUTIME_ID), .wall_ns = read(CLOCK_MONOTONIC)}; }

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {.p10 = at(0.1), .median = at(0.5), .p90 = at(0.9)};
}

}  // namespace anypop::bench
