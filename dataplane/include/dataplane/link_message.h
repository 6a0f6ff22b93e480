// SPDX-License-Identifier: Apache-2.0
// The kernel's VLAN interfaces (802.1Q, 802.1ad), from its link messages (rtnetlink(7), RTM_NEWLINK). Pure: bytes in,
// values out. The bytes come from the kernel, and are distrusted all the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/dump_end.h"

namespace anypop::dataplane {

struct VlanLink {
  unsigned interface_index = 0;
  unsigned below = 0;  // the interface that carries it
  friend bool operator==(const VlanLink&, const VlanLink&) = default;
};

struct LinkMessages {
  std::vector<VlanLink> vlans;
  DumpEnd end;  // malformed: what came before is in `vlans`
};

// One datagram of a dump. Links that are no VLAN, or that are carried by another network namespace's link, are skipped.
LinkMessages parse_link_messages(std::span<const std::byte> datagram);
// The request for all links.
std::vector<std::byte> link_dump_request(std::uint32_t sequence);

}  // namespace anypop::dataplane
