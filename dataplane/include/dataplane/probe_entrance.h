// SPDX-License-Identifier: Apache-2.0
// How the monitor's probes enter the data path: an interface of the kernel's whose other end the workers poll. The
// kernel sends there whatever comes from a reserved source address (EngineConfig::probe_sources), by a rule and a table
// of routes of its own, and takes those addresses for its own, so that a socket may have one, and that the backends'
// answers are delivered. Since only this machine's kernel can write to the interface, what comes from it is known to be
// from here. Control thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <absl/status/statusor.h>
#include <rte_mempool.h>

#include "base/config.h"
#include "dataplane/kernel_interface.h"

namespace anypop::dataplane {

struct ProbeEntranceOptions {
  std::string interface;
  std::vector<IpPrefix> sources;
  unsigned mtu_bytes = 1500;
  unsigned queues = 1;          // one for each worker
  rte_mempool* pool = nullptr;  // of a port
};

class ProbeEntrance {
 public:
  // Up, with routes. Whatever was begun is undone on an error.
  static absl::StatusOr<std::unique_ptr<ProbeEntrance>> open(const ProbeEntranceOptions& options);
  ~ProbeEntrance();  // the interface, the rule and the routes go
  ProbeEntrance(const ProbeEntrance&) = delete;
  ProbeEntrance& operator=(const ProbeEntrance&) = delete;

  std::uint16_t port() const { return interface_->id(); }
  int wake_fd(unsigned queue) const { return interface_->wake_fd(queue); }

 private:
  ProbeEntrance() = default;

  std::vector<IpPrefix> sources_;
  std::unique_ptr<KernelInterface> interface_;
};

}  // namespace anypop::dataplane
