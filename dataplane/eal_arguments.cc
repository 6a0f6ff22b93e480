// SPDX-License-Identifier: Apache-2.0
#include "dataplane/eal_arguments.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace anypop::dataplane {
namespace {

std::string cpu_set(const std::vector<unsigned>& cpus) { return fmt::format("({})", fmt::join(cpus, ",")); }

std::string lcores(const DataplaneConfig& config, const std::vector<unsigned>& cpus) {
  std::vector<unsigned> control;
  std::copy_if(cpus.begin(), cpus.end(), std::back_inserter(control), [&](unsigned cpu) {
    return std::find(config.cores.begin(), config.cores.end(), cpu) == config.cores.end();
  });
  std::string map = "0@" + cpu_set(control.empty() ? cpus : control);
  for (unsigned worker = 0; worker < worker_count(config); ++worker) {
    const auto where = config.cores.empty() ? cpus : std::vector<unsigned>{config.cores[worker]};
    map += fmt::format(",{}@{}", worker + 1, cpu_set(where));
  }
  return map;
}

}  // namespace

unsigned worker_count(const DataplaneConfig& config) {
  return std::max(1U, static_cast<unsigned>(config.cores.size()));
}

std::vector<std::string> eal_arguments(const DataplaneConfig& config, const std::vector<unsigned>& cpus) {
  std::vector<std::string> arguments = {
      "anypop-dataplane",
      "--lcores",
      lcores(config, cpus),
      "--main-lcore",
      "0",
      "-m",
      std::to_string(config.memory_mb),
      "--no-telemetry",
      // Virtual addresses do for devices without DMA, need no privilege, and make a packet pool one piece.
      "--iova-mode",
      "va",
  };
  // No files, no sockets, no lock against other DPDK programs: what dies leaves nothing. EAL refuses --in-memory
  // together with --no-huge, whose memory is anonymous anyway.
  if (config.hugepages) {
    arguments.emplace_back("--in-memory");
  } else {
    arguments.emplace_back("--no-huge");
    arguments.emplace_back("--no-shconf");
  }
  // There is no pci kind of port yet to look for.
  arguments.emplace_back("--no-pci");
  return arguments;
}

}  // namespace anypop::dataplane
