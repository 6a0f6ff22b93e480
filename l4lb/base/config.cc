// SPDX-License-Identifier: Apache-2.0
#include "base/config.h"

#include <algorithm>

#include <fmt/format.h>

namespace anypop {

std::string_view protocol_name(Protocol protocol) { return protocol == Protocol::kTcp ? "tcp" : "udp"; }

std::string_view forwarding_name(Forwarding forwarding) {
  switch (forwarding) {
    case Forwarding::kL2: return "l2";
    case Forwarding::kIpip: return "ipip";
    case Forwarding::kGre: return "gre";
    case Forwarding::kGue: return "gue";
  }
  return "unknown";
}

std::string_view port_kind_name(PortKind kind) {
  return kind == PortKind::kAfXdp ? "af_xdp" : kind == PortKind::kVdev ? "vdev" : "pci";
}

std::string_view monitor_lost_name(MonitorLost choice) { return choice == MonitorLost::kKeep ? "keep" : "withdraw"; }

IpPrefix ServiceConfig::vip_prefix() const {
  if (!vip_prefix_bits) return IpPrefix::of(vip);
  return IpPrefix::parse(fmt::format("{}/{}", vip.to_string(), *vip_prefix_bits)).value_or(IpPrefix::of(vip));
}

std::string ServiceConfig::ports() const {
  if (any_port()) return "any";
  return last_port == 0 ? std::to_string(port) : fmt::format("{}-{}", port, last_port);
}

const BirdConfig& PopConfig::bird_of(Family family) const {
  const auto at = std::find_if(birds.begin(), birds.end(), [&](const BirdConfig& bird) {
    return std::find(bird.families.begin(), bird.families.end(), family) != bird.families.end();
  });
  return at == birds.end() ? birds.front() : *at;
}

const ServiceConfig* PopConfig::find_service(std::string_view name) const {
  const auto at = std::find_if(services.begin(), services.end(), [&](const auto& s) { return s.name == name; });
  return at == services.end() ? nullptr : &*at;
}

const AnnouncementConfig* PopConfig::find_announcement(std::string_view name) const {
  const auto at =
      std::find_if(announcements.begin(), announcements.end(), [&](const auto& a) { return a.name == name; });
  return at == announcements.end() ? nullptr : &*at;
}

}  // namespace anypop
