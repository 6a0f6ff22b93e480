// SPDX-License-Identifier: Apache-2.0
// Rule 4 of the policy: what the conditions alone make of an announcement. Pure.
#pragma once

#include <cstddef>
#include <string>

#include "healthmon/policy.h"

namespace anypop::healthmon {

// How to count what is not known yet: before the first full round it may still turn out well, afterwards it is bad.
enum class Unknown { kIsGood, kIsBad };

struct Assessment {
  bgpctl::Level level = bgpctl::Level::kAnnounced;
  std::string cause = "every condition is good";  // what keeps it from more
};

// `memory` says which levels were lost, and so need return_margin_percent more.
Assessment assess(const PopConfig& config, std::size_t index, const Facts& facts, const PolicyMemory& memory,
                  Unknown unknown);

}  // namespace anypop::healthmon
