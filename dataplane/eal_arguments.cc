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
  for (unsigned worker = 0; worker < worker_count(config, cpus); ++worker) {
    const auto where = config.cores.empty() ? cpus : std::vector<unsigned>{config.cores[worker]};
    map += fmt::format(",{}@{}", worker + 1, cpu_set(where));
  }
  return map;
}

}  // namespace

unsigned worker_count(const DataplaneConfig& config, const std::vector<unsigned>& cpus) {
  if (!config.cores.empty()) return static_cast<unsigned>(config.cores.size());
  unsigned queues = 1;
  for (const PortConfig& port : config.ports) queues = std::max(queues, port.queues);
  return std::clamp(static_cast<unsigned>(cpus.size()) - 1U, 1U, queues);
}

std::vector<std::string> eal_arguments(const DataplaneConfig& config, const std::vector<unsigned>& cpus) {
  std::vector<std::string> arguments = {
      "anypop-dataplane", "--lcores", lcores(config, cpus), "--main-lcore", "0", "-m", std::to_string(config.memory_mb),
  };
  if (config.telemetry) {
    arguments.emplace_back("--file-prefix");
    arguments.emplace_back("anypop");
  } else {
    arguments.emplace_back("--no-telemetry");
  }
  // But for that: no files, no sockets, no lock against other DPDK programs: what dies leaves nothing. EAL refuses
  // --in-memory together with --no-huge, whose memory is anonymous anyway.
  if (config.hugepages) {
    arguments.emplace_back("--in-memory");
  } else {
    arguments.emplace_back("--no-huge");
    arguments.emplace_back("--no-shconf");
  }
  const auto is_pci = [](const PortConfig& port) { return port.kind == PortKind::kPci; };
  if (std::ranges::any_of(config.ports, is_pci)) {
    // Only these: whatever else is bound to vfio on this machine is somebody else's. DPDK knows how their DMA sees
    // memory.
    for (const PortConfig& port : config.ports) {
      if (!is_pci(port)) continue;
      arguments.emplace_back("--allow");
      arguments.push_back(port.device);
    }
  } else {
    arguments.emplace_back("--no-pci");
    // Virtual addresses do for devices without DMA, need no privilege, and make a packet pool one piece.
    arguments.emplace_back("--iova-mode");
    arguments.emplace_back("va");
  }
  return arguments;
}

}  // namespace anypop::dataplane
