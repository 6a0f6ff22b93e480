// SPDX-License-Identifier: Apache-2.0
// How a case is measured. Two loops take turns, a few hundred bursts each: one brings packets in (copying), the other
// brings them in and hands them to the engine. The difference of their medians is the engine. Times are those of the
// thread, not of the clock.
#pragma once

#include <chrono>
#include <string>

#include <absl/status/statusor.h>

#include "anypop_bench/cases.h"
#include "anypop_bench/stopwatch.h"

namespace anypop::bench {

struct Result {
  double ns = 0;   // a packet, in the engine alone
  double p10 = 0;  // the same, of the tenth of the loops that were the fastest
  double p90 = 0;
  double receive_ns = 0;  // a packet, to bring it in: the reference
  double cpu_share = 0;   // of the time that passed; clearly below 1: something else ran
  std::uint64_t packets = 0;
};

// Internal: the engine gave another verdict than the case expects.
absl::StatusOr<Result> measure(const Case& one, std::chrono::milliseconds budget);

// What the machine does without any of our code: ns for 64 bytes.
struct References {
  double copy_hot = 0;     // memcpy within the first-level cache
  double copy_cold = 0;    // memcpy from memory, in order
  double random_read = 0;  // one load from memory, 32 at a time, asked for beforehand
};
References measure_references(std::chrono::milliseconds budget);

}  // namespace anypop::bench
