// SPDX-License-Identifier: Apache-2.0
// One Ethernet port: a DPDK device, its packet memory and, for af_xdp, the claim on the kernel's interface and our XDP
// program on it. Control thread only; what a worker needs of it is a QueueHandle.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "base/address.h"
#include "base/config.h"
#include "dataplane/kernel_interface.h"
#include "dataplane/steering.h"

namespace anypop::dataplane {

struct PortOptions {
  PortConfig config;
  std::string key;  // in the configuration, for messages: "dataplane.ports[0]"
  unsigned packet_buffers = 8192;
  unsigned memory_mb = 128;    // for messages
  std::vector<IpPrefix> vips;  // to steer, af_xdp
  bool alone = true;           // nothing is sent by it that another port received
};

enum class Link : std::uint8_t { kUp, kDown, kGone };  // gone: the kernel's interface was removed
std::string_view link_name(Link link);

struct PortCounters {
  std::uint64_t rx_packets = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t rx_missed = 0;  // by the device: no buffer, ring full
  std::uint64_t buffers = 0;
  std::uint64_t buffers_in_use = 0;
  // Of each queue: packets that wait in the device's receive ring. Empty: this driver cannot say.
  std::vector<std::uint64_t> waiting;
  std::uint64_t ring_size = 0;  // of each of those rings
};

class Port {
 public:
  // Configured and started, ready to be polled. Whatever was begun is undone on an error.
  static absl::StatusOr<std::unique_ptr<Port>> open(PortOptions options);
  ~Port();  // stops, closes, detaches XDP; no worker may poll any more
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  const PortConfig& config() const { return options_.config; }
  std::uint16_t id() const { return id_; }
  const MacAddress& mac() const { return mac_; }
  // The largest IP packet that the link takes, when the port was opened.
  unsigned mtu_bytes() const { return mtu_bytes_; }
  // The kernel's interface, for its neighbour table; 0: it has none.
  unsigned interface_index() const { return interface_index_; }
  // Readable when packets wait on this queue; -1: the device has no such thing.
  int wake_fd(unsigned queue) const { return wake_fds_[queue]; }

  // af_xdp: only packets to these enter; otherwise nothing happens.
  absl::Status steer(const std::vector<IpPrefix>& vips) const;

  Link link() const;
  // af_xdp: the interface was removed, and there is another one of its name.
  bool is_replaced() const;
  rte_mempool* pool() const { return pool_; }
  // The kernel's interface for a port that DPDK owns; nullptr: none is configured.
  KernelInterface* kernel() const { return kernel_.get(); }
  PortCounters counters() const;

 private:
  explicit Port(PortOptions options) : options_(std::move(options)) {}
  std::string device_string() const;
  absl::Status take_interface();
  absl::Status probe();
  absl::Status make_pool();
  absl::Status configure();
  absl::Status set_up_queues();
  absl::Status start();
  absl::Status open_kernel_interface();

  PortOptions options_;
  std::string device_name_;
  OwnedFd claim_;
  OwnedFd object_;
  std::uint16_t id_ = UINT16_MAX;
  bool probed_ = false;
  bool started_ = false;
  rte_mempool* pool_ = nullptr;
  MacAddress mac_;
  unsigned mtu_bytes_ = RTE_ETHER_MTU;
  unsigned interface_index_ = 0;
  std::vector<int> wake_fds_;
  unsigned rx_descriptors_ = 0;
  std::unique_ptr<KernelInterface> kernel_;
};

}  // namespace anypop::dataplane
