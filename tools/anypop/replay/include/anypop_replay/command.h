// SPDX-License-Identifier: Apache-2.0
// `anypop replay`, as a function of its arguments.
#pragma once

#include <string>
#include <vector>

#include "anypop_replay/offline.h"

namespace anypop::replay {

struct Request {
  std::string config;
  std::string in;                 // "-": standard input
  std::string out;                // "-": standard output
  std::string punt;               // empty: none
  std::vector<std::string> down;  // see parse_health_change()
  std::vector<std::string> up;
  bool json = false;
  OfflineOptions options;
};

// Prints what came of it, or one line about what is wrong. 0: done; 1: failed; 2: arguments that contradict each other.
int run(const Request& request);

}  // namespace anypop::replay
