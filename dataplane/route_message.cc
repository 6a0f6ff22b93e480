// SPDX-License-Identifier: Apache-2.0
#include "dataplane/route_message.h"

#include <cerrno>

#include <libmnl/libmnl.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include "netlink_reader.h"

namespace anypop::dataplane {
namespace {

using netlink::Bytes;
using netlink::drop;
using netlink::for_each_attribute;
using netlink::read;
using netlink::to_address;

// What stands at the top of a route with one way, and again in each of several.
struct HopAttributes {
  std::optional<IpAddress> gateway;
  unsigned interface_index = 0;
  bool encapsulated = false;
};

bool read_hop(unsigned family, unsigned type, Bytes value, HopAttributes& hop) {
  switch (type) {
    case RTA_GATEWAY: hop.gateway = to_address(family, value); return hop.gateway.has_value();
    case RTA_VIA: {
      const auto via_family = read<std::uint16_t>(value);
      if (!via_family) return false;
      hop.gateway = to_address(*via_family, drop(value, sizeof(*via_family)));
      return hop.gateway.has_value();
    }
    case RTA_OIF: {
      const auto index = read<std::uint32_t>(value);
      if (index) hop.interface_index = *index;
      return index.has_value();
    }
    case RTA_ENCAP: hop.encapsulated = true; return true;
    default: return true;
  }
}

// A way that the kernel itself would send through a tunnel is none that a MAC could express.
void add_hop(const HopAttributes& hop, unsigned interface_index, unsigned weight, unsigned flags, Route& route) {
  if (hop.encapsulated || interface_index == 0 || (flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0) return;
  route.hops.push_back({interface_index, hop.gateway, weight});
}

bool read_multipath(unsigned family, Bytes rest, Route& route) {
  while (rest.size() >= sizeof(rtnexthop)) {
    const rtnexthop header = *read<rtnexthop>(rest);
    if (header.rtnh_len < sizeof(rtnexthop) || header.rtnh_len > rest.size()) return false;
    HopAttributes hop;
    bool good = true;
    const Bytes nested = rest.subspan(sizeof(rtnexthop), header.rtnh_len - sizeof(rtnexthop));
    const auto visit = [&](unsigned type, Bytes value) { good = read_hop(family, type, value, hop) && good; };
    if (!for_each_attribute(nested, visit) || !good) return false;
    add_hop(hop, static_cast<unsigned>(header.rtnh_ifindex), header.rtnh_hops + 1U, header.rtnh_flags, route);
    rest = drop(rest, RTNH_ALIGN(header.rtnh_len));
  }
  return true;
}

Route::Kind kind_of(unsigned type) {
  switch (type) {
    case RTN_UNICAST: return Route::Kind::kUnicast;
    case RTN_LOCAL: return Route::Kind::kOwn;
    default: return Route::Kind::kRefused;
  }
}

std::optional<Route> read_route(Bytes payload) {
  const auto header = read<rtmsg>(payload);
  if (!header) return std::nullopt;
  Route route{kind_of(header->rtm_type), {}};
  HopAttributes only;
  bool multipath = false;
  bool good = true;
  const auto visit = [&](unsigned type, Bytes value) {
    if (type == RTA_MULTIPATH) {
      multipath = true;
      good = read_multipath(header->rtm_family, value, route) && good;
    } else {
      good = read_hop(header->rtm_family, type, value, only) && good;
    }
  };
  if (!for_each_attribute(drop(payload, NLMSG_ALIGN(sizeof(rtmsg))), visit) || !good) return std::nullopt;
  if (!multipath) add_hop(only, only.interface_index, 1, header->rtm_flags, route);
  if (route.kind != Route::Kind::kUnicast) route.hops.clear();
  return route;
}

Route::Kind kind_of_error(int error) {
  return error == ENETUNREACH || error == ESRCH || error == ENODEV ? Route::Kind::kNone : Route::Kind::kRefused;
}

// The prefix that a route is for; nullopt when it says nothing that can be understood.
std::optional<IpPrefix> prefix_of(Bytes payload) {
  const auto header = read<rtmsg>(payload);
  if (!header) return std::nullopt;
  std::optional<IpAddress> address;
  const auto visit = [&](unsigned type, Bytes value) {
    if (type == RTA_DST) address = to_address(header->rtm_family, value);
  };
  if (!for_each_attribute(drop(payload, NLMSG_ALIGN(sizeof(rtmsg))), visit)) return std::nullopt;
  if (!address && header->rtm_dst_len == 0) {
    return header->rtm_family == AF_INET ? *IpPrefix::parse("0.0.0.0/0") : *IpPrefix::parse("::/0");
  }
  if (!address) return std::nullopt;
  const auto prefix = IpPrefix::parse(address->to_string() + "/" + std::to_string(header->rtm_dst_len));
  return prefix.ok() ? std::optional(*prefix) : std::nullopt;
}

void read_change(unsigned type, Bytes payload, RouteChanges& changes) {
  switch (type) {
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      if (const auto prefix = prefix_of(payload)) {
        changes.prefixes.push_back(*prefix);
      } else {
        changes.all = true;
      }
      break;
    case RTM_NEWLINK:
    case RTM_DELLINK:
    case RTM_NEWRULE:
    case RTM_DELRULE:
    case RTM_NEWNEXTHOP:
    case RTM_DELNEXTHOP: changes.all = true; break;
    default: break;
  }
}

}  // namespace

std::vector<std::byte> route_request(const IpAddress& destination, std::uint32_t sequence) {
  std::vector<std::byte> buffer(256);
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_GETROUTE;
  header->nlmsg_flags = NLM_F_REQUEST;
  header->nlmsg_seq = sequence;
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  route->rtm_family = netlink::address_family(destination.family());
  route->rtm_dst_len = static_cast<std::uint8_t>(destination.bytes().size() * 8);
  route->rtm_flags = RTM_F_FIB_MATCH;
  mnl_attr_put(header, RTA_DST, destination.bytes().size(), destination.bytes().data());
  return {buffer.begin(), buffer.begin() + header->nlmsg_len};
}

std::optional<Route> parse_route_answer(Bytes datagram, std::uint32_t sequence) {
  const auto header = read<nlmsghdr>(datagram);
  if (!header || header->nlmsg_seq != sequence || header->nlmsg_len < sizeof(nlmsghdr) ||
      header->nlmsg_len > datagram.size()) {
    return std::nullopt;
  }
  const Bytes payload = datagram.first(header->nlmsg_len).subspan(sizeof(nlmsghdr));
  if (header->nlmsg_type == RTM_NEWROUTE) return read_route(payload);
  if (header->nlmsg_type != NLMSG_ERROR) return std::nullopt;
  const auto error = read<nlmsgerr>(payload);
  if (!error) return std::nullopt;
  return Route{kind_of_error(-error->error), {}};
}

RouteChanges parse_route_changes(Bytes datagram) {
  RouteChanges changes;
  const bool whole = netlink::for_each_message(datagram, [&](unsigned type, Bytes payload) {
    read_change(type, payload, changes);
    return true;
  });
  changes.all = changes.all || !whole;
  return changes;
}

}  // namespace anypop::dataplane
