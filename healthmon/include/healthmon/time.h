// SPDX-License-Identifier: Apache-2.0
// Time as the monitor's pure parts get it: handed in with every event, never read from a clock, so that a simulation
// can replay days of faults from a seed.
#pragma once

#include <chrono>
#include <cstdint>

namespace anypop::healthmon {

using SteadyTime = std::chrono::steady_clock::time_point;
using Milliseconds = std::chrono::milliseconds;

// One instant on both clocks. Decisions use `steady` only, because the wall clock may step; `unix_ms` is for people.
struct Now {
  SteadyTime steady;
  std::int64_t unix_ms = 0;
};

}  // namespace anypop::healthmon
