// SPDX-License-Identifier: Apache-2.0
// The kernel's neighbour messages (rtnetlink(7), RTM_NEWNEIGH and RTM_DELNEIGH), read and written. Pure: bytes in,
// values out. The bytes come from the kernel, and are distrusted all the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/address.h"
#include "dataplane/dump_end.h"

namespace anypop::dataplane {

// What one message says about one neighbour.
struct NeighbourUpdate {
  unsigned interface_index = 0;
  IpAddress address;
  std::optional<MacAddress> mac;  // nullopt: nothing to send to (deleted, failed, still asking)
  bool confirmed = false;         // heard of lately; false: worth asking again (STALE, or no MAC)
  friend bool operator==(const NeighbourUpdate&, const NeighbourUpdate&) = default;
};

struct NeighbourMessages {
  std::vector<NeighbourUpdate> updates;
  DumpEnd end;  // malformed: what came before is in `updates`
};

// One datagram from the kernel, which may hold several messages. Other message types are skipped.
NeighbourMessages parse_neighbour_messages(std::span<const std::byte> datagram);

// The request for all neighbours of a family.
std::vector<std::byte> neighbour_dump_request(Family family, std::uint32_t sequence);
// The request to find out a neighbour's MAC, or to confirm it, as if a packet for it had to leave (NTF_USE).
std::vector<std::byte> neighbour_resolve_request(unsigned interface_index, const IpAddress& address,
                                                 std::uint32_t sequence);

}  // namespace anypop::dataplane
