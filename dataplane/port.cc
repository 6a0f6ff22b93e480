// SPDX-License-Identifier: Apache-2.0
#include "dataplane/port.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include <net/if.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>

#include "base/text.h"
#include "dataplane/eal.h"
#include "xsk_sockets.h"

namespace anypop::dataplane {
namespace {

constexpr std::uint16_t kDescriptors = 2048;  // a queue's worth: AF_XDP's fill ring has this size
constexpr unsigned kPoolCache = 256;          // buffers a core keeps to itself: several bursts

// The kernel's own flags; DPDK's AF_XDP driver reports the link as up whatever happens to it.
std::optional<unsigned> kernel_flags(const std::string& interface) {
  const OwnedFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  if (fd.get() < 0 || ::ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0) return std::nullopt;
  return static_cast<unsigned>(static_cast<unsigned short>(request.ifr_flags));
}

// DPDK's AF_XDP driver does not take over the interface's MTU.
std::optional<unsigned> kernel_mtu(const std::string& interface) {
  const OwnedFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  if (fd.get() < 0 || ::ioctl(fd.get(), SIOCGIFMTU, &request) != 0) return std::nullopt;
  return static_cast<unsigned>(request.ifr_mtu);
}

// A flow stays on one queue by the NIC's hash over addresses and ports, in both families, where it has one; elsewhere
// the kernel's driver or nobody spreads.
rte_eth_conf device_configuration(const rte_eth_dev_info& info, std::uint16_t queues, bool alone) {
  constexpr std::uint64_t kFlows = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
  rte_eth_conf conf{};
  if (queues > 1 && (info.flow_type_rss_offloads & kFlows) != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads & kFlows;
  }
  // If a queue sends buffers of one pool only, each with one owner.
  if (alone) conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
  return conf;
}

}  // namespace

std::string_view link_name(Link link) { return link == Link::kUp ? "up" : link == Link::kDown ? "down" : "gone"; }

absl::StatusOr<std::unique_ptr<Port>> Port::open(PortOptions options) {
  auto port = std::unique_ptr<Port>(new Port(std::move(options)));
  using Step = absl::Status (Port::*)();
  for (const Step step : {&Port::take_interface, &Port::probe, &Port::make_pool, &Port::configure, &Port::set_up_queues,
                          &Port::start, &Port::open_kernel_interface}) {
    if (absl::Status status = (*port.*step)(); !status.ok()) {
      const PortConfig& config = port->config();
      return make_error(status.code(), "{}.{}: {}{}", port->options_.key, port_kind_name(config.kind), message(status),
                        take_dpdk_error());
    }
  }
  return port;
}

Port::~Port() {
  kernel_.reset();  // its queues use the pool
  if (started_) rte_eth_dev_stop(id_);
  if (probed_) {
    rte_device* device = nullptr;
    if (rte_eth_dev_info info{}; rte_eth_dev_info_get(id_, &info) == 0) device = info.device;
    rte_eth_dev_close(id_);
    if (device != nullptr) rte_dev_remove(device);
  }
  rte_mempool_free(pool_);
}

absl::Status Port::take_interface() {
  if (config().kind != PortKind::kAfXdp) return absl::OkStatus();
  interface_index_ = ::if_nametoindex(config().device.c_str());
  auto claim = claim_interface(config().device);
  if (!claim.ok()) return claim.status();
  claim_ = *std::move(claim);
  if (absl::Status status = clear_stale_steering(config().device); !status.ok()) return status;
  auto object = steering_object();
  if (!object.ok()) return object.status();
  object_ = *std::move(object);
  return absl::OkStatus();
}

std::string Port::device_string() const {
  if (config().kind != PortKind::kAfXdp) return config().device;
  // busy_budget=0: without it the driver enters the kernel at every empty poll.
  return fmt::format("net_af_xdp_{0},iface={0},start_queue=0,queue_count={1},busy_budget=0,xdp_prog={2}",
                     config().device, config().queues, fd_path(object_));
}

absl::Status Port::probe() {
  const std::string device = device_string();
  device_name_ = device.substr(0, device.find(','));
  // The number it returns says little: most drivers fail with -1.
  if (rte_dev_probe(device.c_str()) != 0) {
    return failed_precondition("found '{}', which DPDK cannot open", escaped(config().device));
  }
  if (rte_eth_dev_get_port_by_name(device_name_.c_str(), &id_) != 0) {
    return failed_precondition("found '{}', expected a DPDK Ethernet device such as net_pcap0", escaped(device_name_));
  }
  probed_ = true;
  rte_ether_addr address{};
  rte_eth_macaddr_get(id_, &address);
  mac_ = MacAddress(std::to_array(address.addr_bytes));
  if (std::uint16_t mtu = 0; rte_eth_dev_get_mtu(id_, &mtu) == 0 && mtu != 0) mtu_bytes_ = mtu;
  if (config().kind == PortKind::kAfXdp) mtu_bytes_ = kernel_mtu(config().device).value_or(mtu_bytes_);
  return absl::OkStatus();
}

absl::Status Port::make_pool() {
  // One contiguous pool per port: AF_XDP makes it the memory that the kernel writes to.
  const std::string name = fmt::format("packets_{}", id_);
  pool_ = rte_pktmbuf_pool_create(name.c_str(), options_.packet_buffers, kPoolCache, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                  rte_eth_dev_socket_id(id_));
  if (pool_ != nullptr) return absl::OkStatus();
  return resource_exhausted("no memory for {} packet buffers within dataplane.memory_mb: {}; remedy: raise it",
                            options_.packet_buffers, options_.memory_mb);
}

absl::Status Port::configure() {
  rte_eth_dev_info info{};
  if (const int error = rte_eth_dev_info_get(id_, &info); error != 0) {
    return failed_precondition("the device does not say what it can: {}", rte_strerror(-error));
  }
  const auto queues = static_cast<std::uint16_t>(config().queues);
  const rte_eth_conf conf = device_configuration(info, queues, options_.alone);
  if (const int error = rte_eth_dev_configure(id_, queues, queues, &conf); error != 0) {
    return failed_precondition("the device does not take {} queues: {}", queues, rte_strerror(-error));
  }
  return absl::OkStatus();
}

absl::Status Port::set_up_queues() {
  std::uint16_t rx_descriptors = kDescriptors;
  std::uint16_t tx_descriptors = kDescriptors;
  rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx_descriptors, &tx_descriptors);
  rx_descriptors_ = rx_descriptors;
  const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(id_));
  for (std::uint16_t queue = 0; queue < config().queues; ++queue) {
    const std::vector<int> before = open_xsk_sockets();
    if (const int error = rte_eth_rx_queue_setup(id_, queue, rx_descriptors, socket, nullptr, pool_); error != 0) {
      return failed_precondition("cannot set up receive queue {} of {}: {}", queue, config().queues,
                                 rte_strerror(-error));
    }
    if (const int error = rte_eth_tx_queue_setup(id_, queue, tx_descriptors, socket, nullptr); error != 0) {
      return failed_precondition("cannot set up transmit queue {} of {}: {}", queue, config().queues,
                                 rte_strerror(-error));
    }
    const std::vector<int> after = open_xsk_sockets();
    std::vector<int> added;
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(added));
    wake_fds_.push_back(added.size() == 1 ? added.front() : -1);
  }
  return absl::OkStatus();
}

absl::Status Port::start() {
  if (const int error = rte_eth_dev_start(id_); error != 0) {
    return failed_precondition("the device does not start: {}", rte_strerror(-error));
  }
  started_ = true;
  return steer(options_.vips);
}

absl::Status Port::steer(const std::vector<IpPrefix>& vips) const {
  return config().kind == PortKind::kAfXdp ? steer_vips(config().device, vips) : absl::OkStatus();
}

absl::Status Port::open_kernel_interface() {
  if (config().kernel.empty()) return absl::OkStatus();
  // Neighbour discovery is multicast.
  if (const int error = rte_eth_allmulticast_enable(id_); error != 0 && error != -ENOTSUP) {
    return failed_precondition("the device does not take multicast: {}", rte_strerror(-error));
  }
  auto kernel = KernelInterface::open(
      {.name = config().kernel, .mac = mac_, .mtu_bytes = mtu_bytes_, .queues = config().queues, .pool = pool_});
  if (!kernel.ok()) return kernel.status();
  kernel_ = *std::move(kernel);
  interface_index_ = kernel_->interface_index();
  return absl::OkStatus();
}

Link Port::link() const {
  if (config().kind == PortKind::kAfXdp) {
    const auto flags = kernel_flags(config().device);
    if (!flags || is_replaced()) return Link::kGone;
    return (*flags & IFF_UP) != 0 && (*flags & IFF_RUNNING) != 0 ? Link::kUp : Link::kDown;
  }
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP ? Link::kUp : Link::kDown;
}

bool Port::is_replaced() const {
  if (config().kind != PortKind::kAfXdp) return false;
  const unsigned index = ::if_nametoindex(config().device.c_str());
  return index != 0 && index != interface_index_;
}

PortCounters Port::counters() const {
  rte_eth_stats stats{};
  if (rte_eth_stats_get(id_, &stats) != 0) return {};
  PortCounters counters{.rx_packets = stats.ipackets,
                        .tx_packets = stats.opackets,
                        .rx_missed = stats.imissed + stats.rx_nombuf,
                        .buffers = pool_->size,
                        .buffers_in_use = rte_mempool_in_use_count(pool_),
                        .waiting = {},
                        .ring_size = rx_descriptors_};
  for (std::uint16_t queue = 0; queue < config().queues; ++queue) {
    const int waiting = rte_eth_rx_queue_count(id_, queue);
    if (waiting < 0) break;
    counters.waiting.push_back(static_cast<std::uint64_t>(waiting));
  }
  return counters;
}

}  // namespace anypop::dataplane
