// SPDX-License-Identifier: Apache-2.0
// What a capture's packets begin with. The engine takes Ethernet frames; a packet captured on another kind of link gets
// an Ethernet header in place of its own, with stand-in addresses.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <absl/status/status.h>

namespace anypop::replay {

inline constexpr std::uint32_t kEthernetBytes = 14;

// How a packet is made a frame: `header` stands for its first `replaced_bytes`.
struct LinkHeader {
  std::array<std::byte, kEthernetBytes> header{};
  std::uint32_t header_bytes = 0;    // of `header`: 14, or 0 if the packet is a frame already
  std::uint32_t replaced_bytes = 0;  // of the packet
};

// InvalidArgument names the type (a LINKTYPE_ or DLT_ number) and those that are understood: Ethernet, Linux cooked
// (SLL, SLL2), raw IP, BSD loopback (NULL, LOOP), PPP, Cisco HDLC.
absl::Status check_link_type(int link_type);

// Precondition: check_link_type() is ok. A packet too short for its own link header becomes one that ends too early.
LinkHeader link_header(int link_type, std::span<const std::byte> packet);

}  // namespace anypop::replay
