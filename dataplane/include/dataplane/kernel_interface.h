// SPDX-License-Identifier: Apache-2.0
// The interface that the kernel gets for a port that DPDK owns: a DPDK device of its own, virtio-user with vhost-net
// where the machine has that, else a TAP. Queue n belongs to the worker of the port's queue n. Control thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <rte_mempool.h>

#include "base/address.h"

namespace anypop::dataplane {

struct KernelInterfaceOptions {
  std::string name;
  MacAddress mac;
  unsigned mtu_bytes = 1500;
  unsigned queues = 1;
  rte_mempool* pool = nullptr;  // the port's own: what the kernel sends is sent on as it is
  unsigned descriptors = 1024;  // of a queue
  bool wakes = false;           // are there wake_fds?
};

// DPDK's device string. Pure.
std::string kernel_device_string(const KernelInterfaceOptions& options, bool vhost_net);

class KernelInterface {
 public:
  // Up, with the port's MAC and MTU. AlreadyExists: an interface of that name which is no TAP of ours.
  static absl::StatusOr<std::unique_ptr<KernelInterface>> open(const KernelInterfaceOptions& options);
  ~KernelInterface();  // the interface goes, unless keep() was called
  KernelInterface(const KernelInterface&) = delete;
  KernelInterface& operator=(const KernelInterface&) = delete;

  std::uint16_t id() const { return id_; }
  unsigned interface_index() const { return interface_index_; }
  // Readable when the kernel has sent something on this queue; -1: the device has no such thing.
  int wake_fd(unsigned queue) const;
  // What the kernel's own programs see: carrier, as the port has link or not.
  void set_link(bool up);
  // The next process takes the interface over, with its addresses and routes.
  void keep() { keep_ = true; }

 private:
  KernelInterface() = default;
  absl::Status start(const KernelInterfaceOptions& options);

  std::string name_;
  std::uint16_t id_ = UINT16_MAX;
  unsigned interface_index_ = 0;
  bool probed_ = false;
  bool started_ = false;
  bool persistent_ = false;
  bool keep_ = false;
};

}  // namespace anypop::dataplane
