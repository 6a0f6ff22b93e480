// SPDX-License-Identifier: Apache-2.0
#include "dataplane/probe_entrance.h"

#include <cerrno>
#include <cstring>

#include <net/if.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/owned_fd.h"
#include "base/text.h"
#include "rtnetlink.h"

namespace anypop::dataplane {
namespace {

// Locally administered, and nobody's: no frame with it leaves this machine.
constexpr std::array<std::uint8_t, 6> kMac = {0x02, 'p', 'r', 'o', 'b', 'e'};
// A probe and its answer fit in a few packets; buffers that wait here are lost to the port.
constexpr unsigned kDescriptors = 64;

// Whoever takes the packets has no neighbours: the kernel asks for none, and sends to its own MAC.
absl::Status without_arp(const std::string& interface) {
  const OwnedFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  if (fd.get() < 0 || ::ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0) {
    return errno_error(errno, "cannot read the flags of '{}'", interface);
  }
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_NOARP | IFF_UP);
  if (::ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) return errno_error(errno, "cannot set up '{}'", interface);
  return absl::OkStatus();
}

absl::Status set_routes(unsigned interface_index, const std::vector<IpPrefix>& sources) {
  auto netlink = Rtnetlink::open();
  if (!netlink.ok()) return netlink.status();
  for (const IpPrefix& source : sources) {
    for (const ProbeRoute part : kProbeRoutes) {
      const absl::Status status = netlink->change_probe_route(part, source, interface_index, true);
      if (!status.ok()) return make_error(status.code(), "{} for {}", message(status), source.to_string());
    }
  }
  return absl::OkStatus();
}

// Routes go with their interface, the rule does not.
absl::Status forget_rules(const std::vector<IpPrefix>& sources) {
  auto netlink = Rtnetlink::open();
  if (!netlink.ok()) return netlink.status();
  for (const IpPrefix& source : sources) {
    const absl::Status status = netlink->change_probe_route(ProbeRoute::kRule, source, 0, false);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProbeEntrance>> ProbeEntrance::open(const ProbeEntranceOptions& options) {
  auto interface = KernelInterface::open({.name = options.interface,
                                          .mac = MacAddress(kMac),
                                          .mtu_bytes = options.mtu_bytes,
                                          .queues = options.queues,
                                          .pool = options.pool,
                                          .descriptors = kDescriptors,
                                          .wakes = true});
  if (!interface.ok()) return interface.status();
  auto entrance = std::unique_ptr<ProbeEntrance>(new ProbeEntrance());
  entrance->interface_ = *std::move(interface);
  if (absl::Status status = without_arp(options.interface); !status.ok()) return status;
  entrance->sources_ = options.sources;
  if (absl::Status status = set_routes(entrance->interface_->interface_index(), options.sources); !status.ok()) {
    return status;
  }
  return entrance;
}

ProbeEntrance::~ProbeEntrance() {
  if (sources_.empty()) return;
  if (absl::Status status = forget_rules(sources_); !status.ok()) {
    spdlog::warn("event=probe_entrance error=\"{}\"", message(status));
  }
}

}  // namespace anypop::dataplane
