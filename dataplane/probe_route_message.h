// SPDX-License-Identifier: Apache-2.0
// What the kernel must know about the reserved source addresses of probes, as rtnetlink(7) messages. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/address.h"

namespace anypop::dataplane {

enum class ProbeRoute : std::uint8_t {
  kLocal,    // the addresses are this server's
  kDefault,  // everything in the probes' table leaves by the interface
  kRule,     // what is from these addresses uses that table
};
inline constexpr std::array kProbeRoutes = {ProbeRoute::kLocal, ProbeRoute::kDefault, ProbeRoute::kRule};

// Nobody else's, one hopes: `ip rule` and `ip route show table 7732` show them.
inline constexpr std::uint32_t kProbeTable = 7732;
inline constexpr std::uint32_t kProbeRulePriority = 77;

// A request to add it (in the place of its like), or to delete it.
std::vector<std::byte> probe_route_request(ProbeRoute what, const IpPrefix& sources, unsigned interface_index, bool add,
                                           std::uint32_t sequence);

}  // namespace anypop::dataplane
