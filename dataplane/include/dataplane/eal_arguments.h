// SPDX-License-Identifier: Apache-2.0
// What DPDK's environment (EAL) is told, from pop.yaml: nobody types these. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"

namespace anypop::dataplane {

// Lcore 0 is the control thread's, 1 to n are the workers'. As many workers as cores are named; without names one for
// each queue of the widest port, but one core of `cpus` stays free.
unsigned worker_count(const DataplaneConfig& config, const std::vector<unsigned>& cpus);

// argv for rte_eal_init(). `cpus` are those that this process may use, ascending. Workers are pinned when the
// configuration names cores; the control thread then floats over the other ones. Without names all float over all.
std::vector<std::string> eal_arguments(const DataplaneConfig& config, const std::vector<unsigned>& cpus);

}  // namespace anypop::dataplane
