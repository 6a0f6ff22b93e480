// SPDX-License-Identifier: Apache-2.0
// How a case is measured. Each burst is brought in by copying, and then handed to the engine; the clock is read before
// and after the latter, and what reading it takes is subtracted. A few hundred bursts are one turn, and the result is
// the median of many turns. A machine that does something else shows in a wide spread; then the case is measured again,
// and the calmest attempt counts.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "anypop_bench/cases.h"
#include "anypop_bench/stopwatch.h"

namespace anypop::bench {

inline constexpr std::array<std::string_view, 5> kStages = {"parse", "hash", "service and slot", "records", "forward"};

struct Result {
  double ns = 0;   // a packet, in the engine alone
  double p10 = 0;  // the same, of the tenth of the turns that were the fastest
  double p90 = 0;
  double receive_ns = 0;  // a packet, to bring it in
  double cpu_share = 0;   // of the time that passed; clearly below 1: something else ran
  double tracked = 0;     // share of the packets that a record was found or made for
  std::uint64_t packets = 0;
  std::optional<std::array<double, kStages.size()>> stage_ns;  // a packet; measured apart, with a clock in between

  static constexpr double kSpreadMax = 1.25;
  bool calm() const { return p90 <= kSpreadMax * p10; }
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
