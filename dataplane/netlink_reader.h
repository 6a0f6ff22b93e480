// SPDX-License-Identifier: Apache-2.0
// Reading netlink's messages and attributes without trusting their lengths, alignment or order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include <linux/netlink.h>
#include <sys/socket.h>

#include "base/address.h"

namespace anypop::dataplane::netlink {

using Bytes = std::span<const std::byte>;

// The structure at the front of `bytes`, copied, so that alignment does not matter; nullopt when it does not fit.
template <typename T>
std::optional<T> read(Bytes bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

inline Bytes drop(Bytes bytes, std::size_t count) { return bytes.subspan(std::min(bytes.size(), count)); }

// visit(type, payload) for each message of a datagram, as long as it returns true. False when it did not, or when a
// message contradicts its length.
template <typename Visit>
bool for_each_message(Bytes datagram, Visit visit) {
  while (!datagram.empty()) {
    const auto header = read<nlmsghdr>(datagram);
    if (!header || header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > datagram.size()) return false;
    if (!visit(header->nlmsg_type, datagram.first(header->nlmsg_len).subspan(sizeof(nlmsghdr)))) return false;
    datagram = drop(datagram, NLMSG_ALIGN(header->nlmsg_len));
  }
  return true;
}

// visit(type, value) for each attribute. False when one is longer than what holds it.
template <typename Visit>
bool for_each_attribute(Bytes rest, Visit visit) {
  while (rest.size() >= sizeof(nlattr)) {
    const nlattr attribute = *read<nlattr>(rest);
    if (attribute.nla_len < sizeof(nlattr) || attribute.nla_len > rest.size()) return false;
    visit(static_cast<unsigned>(attribute.nla_type & NLA_TYPE_MASK),
          rest.subspan(sizeof(nlattr), attribute.nla_len - sizeof(nlattr)));
    rest = drop(rest, NLA_ALIGN(attribute.nla_len));
  }
  return true;
}

// nullopt: not an address of that family.
inline std::optional<IpAddress> to_address(unsigned family, Bytes bytes) {
  const std::size_t expected = family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
  if (expected == 0 || bytes.size() != expected) return std::nullopt;
  return IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

inline std::uint8_t address_family(Family family) { return family == Family::kV4 ? AF_INET : AF_INET6; }

}  // namespace anypop::dataplane::netlink
