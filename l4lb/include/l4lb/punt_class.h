// SPDX-License-Identifier: Apache-2.0
// What a packet for the kernel is, so that each kind can have its own limit on the way there. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/address.h"

namespace anypop::l4lb {

// From the one that matters most to the one that matters least.
enum class PuntClass : std::uint8_t {
  kRouting,     // BGP (TCP port 179), BFD (UDP ports 3784, 3785 and 4784: RFC 5881, 5883)
  kProbes,      // to the reserved addresses: answers to the monitor's probes through the data path
  kNeighbours,  // ARP, IPv6 neighbour and router discovery (RFC 4861)
  kIcmp,
  kOther,
};
inline constexpr std::array<std::string_view, 5> kPuntClassNames = {"routing", "probes", "neighbours", "icmp", "other"};
inline constexpr std::size_t kPuntClassCount = kPuntClassNames.size();

// Of a frame that the engine gave the verdict pass_not_vip, or of any other one. `probe_sources` are
// EngineConfig::probe_sources.
PuntClass punt_class(std::span<const std::byte> frame, std::span<const IpPrefix> probe_sources = {});

}  // namespace anypop::l4lb
