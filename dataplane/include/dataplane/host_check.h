// SPDX-License-Identifier: Apache-2.0
// What this machine must offer before anything is started, so that the operator reads one line with the key of the
// configuration instead of DPDK's. Looking and judging are apart: check_host() is pure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "base/config.h"

namespace anypop::dataplane {

struct HostInterface {
  std::string name;
  unsigned mtu_bytes = 1500;
  unsigned queues = 1;  // receive and transmit pairs
  unsigned rp_filter =
      0;  // in effect: the stricter of its own and that of "all", by the kernel's rule the higher number
};

struct PciDevice {
  std::string address;  // 0000:3b:00.0
  bool network = false;
  std::string driver;        // of the kernel; empty: none
  bool iommu_group = false;  // has one
  bool accessible = false;   // /dev/vfio/GROUP may be opened by this process
};

struct HostFacts {
  std::vector<PciDevice> pci;
  std::vector<HostInterface> interfaces;   // of this network namespace
  unsigned rp_filter = 0;                  // in effect for interfaces to come
  std::vector<unsigned> cpus;              // that this process may use, ascending
  std::uint64_t capabilities = 0;          // effective ones, bit CAP_x each (linux/capability.h)
  std::uint64_t hugepage_bytes = 0;        // of the default size
  std::uint64_t hugepages_free_bytes = 0;  // free and not reserved, all sizes
  std::uint64_t hugepages_total = 0;       // pages of the default size, in use or not
};

HostFacts look_at_host();

// FailedPrecondition or PermissionDenied: "FILE: key: found, expected, remedy" for the first thing that is missing.
absl::Status check_host(const PopConfig& config, const HostFacts& facts);

// Too few hugepages are free, but there are enough: whoever has them may be a process that is just dying.
bool hugepages_may_come_free(const PopConfig& config, const HostFacts& facts);

// Part of it, and all that another configuration of the running dataplane needs: a vdev has no kernel interface, hence
// no neighbour table to learn MACs from.
absl::Status check_next_hops(const PopConfig& config);
// Another part, for a port of the running dataplane: its MTU leaves room for IPv6 in the services' tunnels.
absl::Status check_tunnel_mtu(const PopConfig& config, std::size_t port, unsigned mtu_bytes);

// run_dir exists, is a folder, and may be written to by this process. Touches the file system.
absl::Status check_run_dir(const PopConfig& config);

// The largest MTU that an AF_XDP port can carry: one frame, with its headroom, fits in a page.
inline constexpr unsigned kAfXdpMtuMaxBytes = 3498;
// What one packet buffer takes of the memory, metadata included.
inline constexpr std::uint64_t kPacketBufferBytes = 2560;

}  // namespace anypop::dataplane
