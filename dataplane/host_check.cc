// SPDX-License-Identifier: Apache-2.0
#include "dataplane/host_check.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/ranges.h>
#include <linux/capability.h>
#include <unistd.h>

#include "base/probe_source.h"
#include "base/text.h"
#include "dataplane/eal_arguments.h"

namespace anypop::dataplane {
namespace {

constexpr std::uint64_t kMegabyte = 1U << 20U;

absl::Status check_cores(const PopConfig& config, const HostFacts& facts) {
  std::set<unsigned> seen;
  for (std::size_t i = 0; i < config.dataplane.cores.size(); ++i) {
    const unsigned core = config.dataplane.cores[i];
    if (std::find(facts.cpus.begin(), facts.cpus.end(), core) == facts.cpus.end()) {
      return failed_precondition(
          "{}: dataplane.cores[{}]: found {}, expected one of the cores this process may use: {}", config.file.string(),
          i, core, fmt::join(facts.cpus, ", "));
    }
    if (!seen.insert(core).second) {
      return failed_precondition("{}: dataplane.cores[{}]: found {} a second time, expected each core once",
                                 config.file.string(), i, core);
    }
  }
  unsigned queues = 0;
  for (const PortConfig& port : config.dataplane.ports) queues = std::max(queues, port.queues);
  if (worker_count(config.dataplane, facts.cpus) > queues) {
    return failed_precondition(
        "{}: dataplane.cores: found {} workers, expected at most {}, the queues of the widest port; remedy: raise "
        "dataplane.ports[].queues or name fewer cores",
        config.file.string(), worker_count(config.dataplane, facts.cpus), queues);
  }
  return absl::OkStatus();
}

absl::Status check_capabilities(const PopConfig& config, std::size_t port, const HostFacts& facts) {
  static constexpr std::array kNeeded = {
      std::pair<unsigned, std::string_view>{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
      std::pair<unsigned, std::string_view>{CAP_NET_RAW, "CAP_NET_RAW"},
      std::pair<unsigned, std::string_view>{CAP_BPF, "CAP_BPF"},
      std::pair<unsigned, std::string_view>{CAP_IPC_LOCK, "CAP_IPC_LOCK"},
  };
  std::vector<std::string_view> missing;
  for (const auto& [bit, name] : kNeeded) {
    if ((facts.capabilities >> bit & 1U) == 0) missing.push_back(name);
  }
  if (missing.empty()) return absl::OkStatus();
  return permission_denied(
      "{}: dataplane.ports[{}].af_xdp: this process lacks {}; expected them for an XDP program and its sockets; "
      "remedy: "
      "run it as root or by its systemd unit",
      config.file.string(), port, fmt::join(missing, ", "));
}

absl::Status check_interface(const PopConfig& config, std::size_t index, const HostFacts& facts) {
  const std::string& wanted = config.dataplane.ports[index].device;
  const auto at = std::find_if(facts.interfaces.begin(), facts.interfaces.end(),
                               [&](const HostInterface& interface) { return interface.name == wanted; });
  if (at == facts.interfaces.end()) {
    std::vector<std::string_view> names;
    for (const HostInterface& interface : facts.interfaces) names.push_back(interface.name);
    return failed_precondition("{}: dataplane.ports[{}].af_xdp: no interface '{}' in this network namespace, found {}",
                               config.file.string(), index, escaped(wanted), fmt::join(names, ", "));
  }
  if (absl::Status status = check_capabilities(config, index, facts); !status.ok()) return status;
  const unsigned queues = config.dataplane.ports[index].queues;
  if (queues > at->queues) {
    return failed_precondition(
        "{}: dataplane.ports[{}].queues: found {}, expected at most {}, the queues of '{}'; remedy: ethtool -L {} "
        "combined {}, if the device can",
        config.file.string(), index, queues, at->queues, wanted, wanted, queues);
  }
  if (at->mtu_bytes > kAfXdpMtuMaxBytes) {
    return failed_precondition(
        "{}: dataplane.ports[{}].af_xdp: '{}' has an MTU of {}, expected at most {}; remedy: ip link set {} mtu 1500",
        config.file.string(), index, wanted, at->mtu_bytes, kAfXdpMtuMaxBytes, wanted);
  }
  return check_tunnel_mtu(config, index, at->mtu_bytes);
}

// Drivers whose NICs stay the kernel's and DPDK's at once: nothing is to be bound.
constexpr std::array<std::string_view, 4> kBifurcated = {"mlx4_core", "mlx5_core", "mana", "gve"};

absl::Status check_pci(const PopConfig& config, std::size_t index, const HostFacts& facts) {
  const std::string& wanted = config.dataplane.ports[index].device;
  const std::string place = fmt::format("{}: dataplane.ports[{}].pci", config.file.string(), index);
  if (!config.dataplane.hugepages) {
    return failed_precondition(
        "{}: found {} with dataplane.hugepages: false, expected true: a NIC needs memory that "
        "stays where it is",
        place, wanted);
  }
  const auto at = std::find_if(facts.pci.begin(), facts.pci.end(),
                               [&](const PciDevice& device) { return device.address == wanted; });
  if (at == facts.pci.end() || !at->network) {
    std::vector<std::string_view> nics;
    for (const PciDevice& device : facts.pci) {
      if (device.network) nics.push_back(device.address);
    }
    return failed_precondition("{}: found {}, which is {}, expected a network device: {}", place, wanted,
                               at == facts.pci.end() ? "not there" : "no network device",
                               nics.empty() ? "this machine has none" : fmt::format("{}", fmt::join(nics, ", ")));
  }
  if (std::find(kBifurcated.begin(), kBifurcated.end(), at->driver) != kBifurcated.end()) return absl::OkStatus();
  if (at->driver != "vfio-pci") {
    return failed_precondition(
        "{}: {} is bound to {}, expected vfio-pci; remedy: modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci {} "
        "(the kernel loses its interface)",
        place, wanted, at->driver.empty() ? "no driver" : at->driver, wanted);
  }
  if (!at->iommu_group) {
    return failed_precondition(
        "{}: {} is in no IOMMU group, so that vfio-pci gives it to nobody; remedy: boot with intel_iommu=on or "
        "amd_iommu=on",
        place, wanted);
  }
  if (!at->accessible) {
    return permission_denied(
        "{}: this process may not open the IOMMU group of {} in /dev/vfio; remedy: run it as root "
        "or by its systemd unit",
        place, wanted);
  }
  return absl::OkStatus();
}

// AF_XDP's fill ring alone holds this many of a queue's buffers; as many are on their way.
constexpr unsigned kAfXdpBuffersPerQueue = 4096;
constexpr unsigned kProbeBuffersPerQueue = 64;

absl::Status check_buffers(const PopConfig& config, std::size_t index) {
  const PortConfig& port = config.dataplane.ports[index];
  // The probes' entrance takes its buffers from the first port.
  const bool probes = index == 0 && !config.dataplane.engine.probe_sources.empty();
  const unsigned needed = (kAfXdpBuffersPerQueue + (probes ? kProbeBuffersPerQueue : 0)) * port.queues;
  if (port.kind != PortKind::kAfXdp || config.dataplane.packet_buffers >= needed) return absl::OkStatus();
  return failed_precondition(
      "{}: dataplane.packet_buffers: found {}, expected at least {} for the {} queues of port '{}'",
      config.file.string(), config.dataplane.packet_buffers, needed, port.queues, port.name);
}

// A packet from the VIP to a reserved address comes in by the port, and the kernel's way back is the probes' entrance.
absl::Status check_probe_answers(const PopConfig& config, const HostFacts& facts) {
  if (find_probe_prefix(config.dataplane.engine.probe_sources, Family::kV4) == nullptr) return absl::OkStatus();
  constexpr unsigned kStrict = 1;
  for (const PortConfig& port : config.dataplane.ports) {
    const bool kernels = port.kind == PortKind::kAfXdp;
    const std::string name = kernels ? port.device : "default";
    const auto at = std::ranges::find(facts.interfaces, name, &HostInterface::name);
    const unsigned filter = !kernels ? facts.rp_filter : at == facts.interfaces.end() ? 0 : at->rp_filter;
    if (filter != kStrict || (!kernels && port.kernel.empty())) continue;
    return failed_precondition(
        "{}: dataplane.probe_sources: the kernel would drop the answers to probes, because net.ipv4.conf.{}.rp_filter "
        "or that of 'all' is 1, expected 0 or 2; remedy: sysctl net.ipv4.conf.{}.rp_filter=2",
        config.file.string(), name, name);
  }
  return absl::OkStatus();
}

absl::Status check_port(const PopConfig& config, std::size_t index, const HostFacts& facts) {
  const PortKind kind = config.dataplane.ports[index].kind;
  if (kind == PortKind::kPci) return check_pci(config, index, facts);
  if (kind == PortKind::kVdev) return absl::OkStatus();
  if (absl::Status status = check_interface(config, index, facts); !status.ok()) return status;
  return check_buffers(config, index);
}

absl::Status check_memory(const PopConfig& config, const HostFacts& facts) {
  const DataplaneConfig& dataplane = config.dataplane;
  const std::uint64_t wanted = dataplane.memory_mb * kMegabyte;
  const std::uint64_t buffers = dataplane.packet_buffers * kPacketBufferBytes * dataplane.ports.size();
  if (const std::uint64_t needed = buffers + 8 * kMegabyte; needed > wanted) {
    return failed_precondition(
        "{}: dataplane.memory_mb: found {}, expected at least {} for {} ports of {} packet_buffers",
        config.file.string(), dataplane.memory_mb, needed / kMegabyte + 1, dataplane.ports.size(),
        dataplane.packet_buffers);
  }
  if (!dataplane.hugepages || facts.hugepages_free_bytes >= wanted) return absl::OkStatus();
  if (facts.hugepage_bytes == 0) {
    return failed_precondition("{}: dataplane.hugepages: this kernel has none; remedy: dataplane.hugepages: false",
                               config.file.string());
  }
  const std::uint64_t missing_pages =
      (wanted - facts.hugepages_free_bytes + facts.hugepage_bytes - 1) / facts.hugepage_bytes;
  return failed_precondition(
      "{}: dataplane.memory_mb: {} MB of hugepages wanted, {} MB free; remedy: sysctl vm.nr_hugepages={}, or "
      "dataplane.hugepages: false",
      config.file.string(), dataplane.memory_mb, facts.hugepages_free_bytes / kMegabyte,
      facts.hugepages_total + missing_pages);
}

}  // namespace

bool hugepages_may_come_free(const PopConfig& config, const HostFacts& facts) {
  const std::uint64_t wanted = config.dataplane.memory_mb * kMegabyte;
  return config.dataplane.hugepages && facts.hugepages_free_bytes < wanted &&
         facts.hugepages_total * facts.hugepage_bytes >= wanted;
}

absl::Status check_tunnel_mtu(const PopConfig& config, std::size_t port, unsigned mtu_bytes) {
  // 1280 bytes are the least that every link takes (RFC 8200 section 5), and hosts ignore a "packet too big" that names
  // less (RFC 8201 section 4). With 40 of IPv6, 8 of UDP and 4 of GUE they fit every tunnel.
  constexpr unsigned kNeeded = 1280 + 40 + 8 + 4;
  if (mtu_bytes >= kNeeded || config.dataplane.ports[port].kind != PortKind::kAfXdp) return absl::OkStatus();
  const auto service = std::ranges::find_if(config.services, [](const ServiceConfig& one) {
    return one.vip.family() == Family::kV6 && one.forwarding != Forwarding::kL2;
  });
  if (service == config.services.end()) return absl::OkStatus();
  const std::string& device = config.dataplane.ports[port].device;
  return failed_precondition(
      "{}: dataplane.ports[{}].af_xdp: '{}' has an MTU of {}, expected at least {}: service '{}' puts IPv6 packets, of "
      "1280 bytes at least, into tunnels; remedy: ip link set {} mtu 1500",
      config.file.string(), port, device, mtu_bytes, kNeeded, service->name, device);
}

absl::Status check_next_hops(const PopConfig& config) {
  const auto& ports = config.dataplane.ports;
  const auto at = std::find_if(ports.begin(), ports.end(),
                               [](const auto& port) { return port.kind != PortKind::kAfXdp && port.kernel.empty(); });
  if (at == ports.end()) return absl::OkStatus();
  for (std::size_t s = 0; s < config.services.size(); ++s) {
    for (std::size_t b = 0; b < config.services[s].backends.size(); ++b) {
      if (config.services[s].backends[b].mac) continue;
      return failed_precondition(
          "{}: services[{}].backends[{}].mac: found none for '{}', expected a MAC: port '{}' has no kernel interface "
          "whose "
          "neighbour table would tell it",
          config.file.string(), s, b, config.services[s].backends[b].name, at->name);
    }
  }
  return absl::OkStatus();
}

absl::Status check_host(const PopConfig& config, const HostFacts& facts) {
  for (std::size_t i = 0; i < config.dataplane.ports.size(); ++i) {
    if (absl::Status status = check_port(config, i, facts); !status.ok()) return status;
  }
  if (absl::Status status = check_probe_answers(config, facts); !status.ok()) return status;
  if (absl::Status status = check_next_hops(config); !status.ok()) return status;
  if (absl::Status status = check_cores(config, facts); !status.ok()) return status;
  return check_memory(config, facts);
}

absl::Status check_run_dir(const PopConfig& config) {
  std::error_code error;
  if (!std::filesystem::is_directory(config.run_dir, error)) {
    return failed_precondition("{}: run_dir: no folder {}; remedy: install -d -m 0755 {}", config.file.string(),
                               config.run_dir.string(), config.run_dir.string());
  }
  if (::access(config.run_dir.c_str(), W_OK | X_OK) != 0) {
    return permission_denied(
        "{}: run_dir: user {} may not write to {} ({}); remedy: run as the folder's owner or as root",
        config.file.string(), ::geteuid(), config.run_dir.string(), std::generic_category().message(errno));
  }
  return absl::OkStatus();
}

}  // namespace anypop::dataplane
