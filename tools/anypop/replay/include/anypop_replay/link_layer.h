// SPDX-License-Identifier: Apache-2.0
// What a capture's packets begin with. The engine takes Ethernet frames; a packet captured on another kind of link gets
// an Ethernet header in place of its own, with stand-in addresses.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace anypop::replay {

inline constexpr std::uint32_t kEthernetBytes = 14;

// How a packet is made a frame: `header` stands for its first `replaced_bytes`.
struct LinkHeader {
  std::array<std::byte, kEthernetBytes> header{};
  std::uint32_t header_bytes = 0;    // of `header`: 14, or 0 if the packet is a frame already
  std::uint32_t replaced_bytes = 0;  // of the packet
};

// A LINKTYPE_ or DLT_ number. Those that are understood: Ethernet, Linux cooked (SLL, SLL2), raw IP, BSD loopback
// (NULL, LOOP, ENC), PPP, Cisco HDLC, PPPoE, MPLS, NFLOG.
bool is_readable(int link_type);

// "189 (USB_LINUX: USB with Linux header)", as libpcap names it.
std::string link_type_text(int link_type);

// A packet too short for its own link header becomes one that ends too early; one of a link type that is not readable
// becomes what no VIP is sent.
LinkHeader link_header(int link_type, std::span<const std::byte> packet);

// A packet that was captured before the NIC cut it into segments (TSO) may have no length yet: 0 in its IP header. It
// gets what the frame says, at most 65535. True: so it was.
bool fill_in_length(std::span<std::byte> frame, std::uint32_t wire_bytes);

}  // namespace anypop::replay
