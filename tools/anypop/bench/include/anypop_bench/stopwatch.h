// SPDX-License-Identifier: Apache-2.0
// Time as a thread uses it, beside the time that passes: on a machine that does something else too, the first stays
// nearly what it is, and the difference shows that the run was disturbed.
#pragma once

#include <cstdint>
#include <vector>

namespace anypop::bench {

struct Moment {
  std::int64_t cpu_ns = 0;   // of this thread
  std::int64_t wall_ns = 0;  // of a clock that does not go back
};
Moment now();

// The middle one, and those a tenth from either end. Empty: all 0.
struct Spread {
  double p10 = 0;
  double median = 0;
  double p90 = 0;
};
Spread spread_of(std::vector<double> values);

}  // namespace anypop::bench
