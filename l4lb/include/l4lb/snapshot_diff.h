// SPDX-License-Identifier: Apache-2.0
// How much of each service's traffic another configuration sends elsewhere, in slots of its Maglev table (snapshot.h),
// each of which has an equal share of the flows. For people; control thread. Nothing here fails.
#pragma once

#include "base/config.h"
#include "base/config_diff.h"
#include "l4lb/snapshot.h"

namespace anypop::l4lb {

// A configuration and what was built from it.
struct Configured {
  const PopConfig& config;
  const Snapshot& snapshot;
};

// Fills in ServiceDiff::slots and slots_moved of every changed service. O(slots).
void count_moved_slots(const Configured& before, const Configured& after, ConfigDiff& diff);

// diff_configs() with the slots filled in as if every backend were healthy, where nobody knows better. Builds both.
ConfigDiff predict(const PopConfig& before, const PopConfig& after);

}  // namespace anypop::l4lb
