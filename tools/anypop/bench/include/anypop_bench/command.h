// SPDX-License-Identifier: Apache-2.0
// `anypop bench`, as a function of its arguments.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "anypop_bench/measure.h"

namespace anypop::bench {

struct Request {
  bool full = false;
  bool json = false;
  unsigned rounds = 1;                    // over all cases; of each case the best one counts
  std::string only;                       // of the cases whose "group / name" contains this
  std::chrono::milliseconds per_case{0};  // 0: as long as each needs
};

// Prints what was measured; progress goes to standard error if that is a terminal. 0: done; 1: failed.
int run(const Request& request);

struct Measured {
  Case what;
  Result result;
};
std::string table(const References& references, const std::vector<Measured>& all);
std::string json(const References& references, const std::vector<Measured>& all);

}  // namespace anypop::bench
