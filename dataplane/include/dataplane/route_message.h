// SPDX-License-Identifier: Apache-2.0
// The kernel's routes (rtnetlink(7)): which way to a destination, and which destinations a change may concern. Pure:
// bytes in, values out. The bytes come from the kernel, and are distrusted all the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/address.h"

namespace anypop::dataplane {

// One way of a route. `gateway` may be of the other family (RFC 5549) and link-local; nullopt: the destination is on
// the link.
struct RouteHop {
  unsigned interface_index = 0;
  std::optional<IpAddress> gateway;
  unsigned weight = 1;
  friend bool operator==(const RouteHop&, const RouteHop&) = default;
};

// The kernel's answer for one destination: the living ways of the route that it would take, several with ECMP.
struct Route {
  enum class Kind : std::uint8_t { kUnknown, kUnicast, kNone, kOwn, kRefused };  // kOwn: the destination is this server
  Kind kind = Kind::kUnknown;
  std::vector<RouteHop> hops;
  friend bool operator==(const Route&, const Route&) = default;
};

// Asks for the whole route to an address, by the kernel's rules and tables, not only for one of its ways.
std::vector<std::byte> route_request(const IpAddress& destination, std::uint32_t sequence);
// The answer to it, one datagram; nullopt: not an answer to this `sequence`, or malformed.
std::optional<Route> parse_route_answer(std::span<const std::byte> datagram, std::uint32_t sequence);

// What the messages of one datagram may have changed about routes.
struct RouteChanges {
  std::vector<IpPrefix> prefixes;  // destinations inside one of these
  bool all = false;                // links, rules and nexthop objects: anything
};
RouteChanges parse_route_changes(std::span<const std::byte> datagram);

}  // namespace anypop::dataplane
