// SPDX-License-Identifier: Apache-2.0
#include "dataplane/kernel_interface.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/owned_fd.h"
#include "base/text.h"
#include "dataplane/eal.h"

namespace anypop::dataplane {
namespace {

constexpr const char* kVhostNet = "/dev/vhost-net";
constexpr auto kAnySocket = static_cast<unsigned>(SOCKET_ID_ANY);

// An interface that outlives its process, so that addresses, routes and BGP sessions on it outlive a restart.
absl::Status set_persistent(const std::string& name, bool persistent) {
  const OwnedFd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (fd.get() < 0) return errno_error(errno, "cannot open /dev/net/tun");
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE;
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    return already_exists("cannot make the interface '{}': {}; expected no interface of that name, or a TAP of ours",
                          name, std::strerror(errno));
  }
  if (::ioctl(fd.get(), TUNSETPERSIST, persistent ? 1 : 0) != 0) {
    return errno_error(errno, "cannot make '{}' outlive this process", name);
  }
  return absl::OkStatus();
}

}  // namespace

std::string kernel_device_string(const KernelInterfaceOptions& options, bool vhost_net) {
  if (vhost_net) {
    return fmt::format("net_virtio_user_{0},path={1},iface={0},mac={2},queues={3},queue_size={4}", options.name,
                       kVhostNet, options.mac.to_string(), options.queues, options.descriptors);
  }
  return fmt::format("net_tap_{0},iface={0},mac={1}", options.name, options.mac.to_string());
}

absl::StatusOr<std::unique_ptr<KernelInterface>> KernelInterface::open(const KernelInterfaceOptions& options) {
  auto interface = std::unique_ptr<KernelInterface>(new KernelInterface());
  interface->name_ = options.name;
  const bool vhost_net = ::access(kVhostNet, R_OK | W_OK) == 0;
  if (!vhost_net) {
    if (absl::Status status = set_persistent(options.name, true); !status.ok()) return status;
    interface->persistent_ = true;
  }
  const std::string device = kernel_device_string(options, vhost_net);
  if (rte_dev_probe(device.c_str()) != 0) {
    return failed_precondition("cannot make the interface '{}'{}", options.name, take_dpdk_error());
  }
  if (rte_eth_dev_get_port_by_name(device.substr(0, device.find(',')).c_str(), &interface->id_) != 0) {
    return internal_error("DPDK has no port for the interface '{}'", options.name);
  }
  interface->probed_ = true;
  if (absl::Status status = interface->start(options); !status.ok()) return status;
  return interface;
}

absl::Status KernelInterface::start(const KernelInterfaceOptions& options) {
  const auto failed = [&](std::string_view what, int error) {
    return failed_precondition("cannot {} '{}': {}{}", what, name_, rte_strerror(-error), take_dpdk_error());
  };
  rte_eth_conf conf{};
  conf.intr_conf.rxq = options.wakes ? 1 : 0;
  const auto queues = static_cast<std::uint16_t>(options.queues);
  if (const int error = rte_eth_dev_configure(id_, queues, queues, &conf); error != 0) {
    return failed("configure", error);
  }
  auto rx = static_cast<std::uint16_t>(options.descriptors);
  auto tx = static_cast<std::uint16_t>(options.descriptors);
  rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx);
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    if (const int error = rte_eth_rx_queue_setup(id_, queue, rx, kAnySocket, nullptr, options.pool); error != 0) {
      return failed("set up a receive queue of", error);
    }
    if (const int error = rte_eth_tx_queue_setup(id_, queue, tx, kAnySocket, nullptr); error != 0) {
      return failed("set up a transmit queue of", error);
    }
  }
  const auto mtu = static_cast<std::uint16_t>(options.mtu_bytes);
  if (const int error = rte_eth_dev_set_mtu(id_, mtu); error != 0) return failed("set the MTU of", error);
  if (const int error = rte_eth_dev_start(id_); error != 0) return failed("start", error);
  started_ = true;
  interface_index_ = ::if_nametoindex(name_.c_str());
  return absl::OkStatus();
}

int KernelInterface::wake_fd(unsigned queue) const {
  return rte_eth_dev_rx_intr_ctl_q_get_fd(id_, static_cast<std::uint16_t>(queue));
}

void KernelInterface::set_link(bool up) {
  const int error = up ? rte_eth_dev_set_link_up(id_) : rte_eth_dev_set_link_down(id_);
  if (error != 0) spdlog::warn("event=kernel_interface name={} up={} error=\"{}\"", name_, up, rte_strerror(-error));
}

KernelInterface::~KernelInterface() {
  // Before DPDK lets go of it, because the last one who does takes down what is not persistent.
  if (persistent_ && !keep_) {
    if (absl::Status status = set_persistent(name_, false); !status.ok()) {
      spdlog::warn("event=kernel_interface name={} error=\"{}\"", name_, message(status));
    }
  }
  if (started_) rte_eth_dev_stop(id_);
  if (!probed_) return;
  rte_device* device = nullptr;
  if (rte_eth_dev_info info{}; rte_eth_dev_info_get(id_, &info) == 0) device = info.device;
  rte_eth_dev_close(id_);
  if (device != nullptr) rte_dev_remove(device);
}

}  // namespace anypop::dataplane
