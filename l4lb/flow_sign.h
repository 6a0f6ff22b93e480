// SPDX-License-Identifier: Apache-2.0
// What a packet says about the life of its flow.
//   kOpens    TCP: SYN without ACK, RST and FIN (RFC 9293 section 3.5). UDP: a client's QUIC Initial (quic.h). (Other
//             UDP does not tell, it may be the middle of anything.) Nobody can miss a backend that such a flow had.
//   kCloses   TCP: FIN. The client has nothing more to say, but it still acknowledges what the server says.
//   kResets   TCP: RST. Nothing follows, if it is genuine; whether it is only the backend can tell.
//   kGoesOn   everything else
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "flow.h"
#include "l4lb/wire.h"

namespace anypop::l4lb {

enum class FlowSign : std::uint8_t { kGoesOn, kOpens, kCloses, kResets };

// Flags of a TCP header.
inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpAck = 0x10;
// Look at the packet.
inline constexpr std::uint8_t kUnknownFlags = 0xff;

// The flags that matter, of a TCP header.
inline std::uint8_t signs_of_tcp(const std::byte* header) {
  return wire::View<wire::Tcp>(header)[&wire::Tcp::flags] & (kTcpFin | kTcpSyn | kTcpRst | kTcpAck);
}

inline FlowSign sign_of_flags(std::uint8_t flags) {
  if (flags == kTcpAck) return FlowSign::kGoesOn;
  if (flags == kTcpSyn) return FlowSign::kOpens;
  if ((flags & kTcpRst) != 0) return FlowSign::kResets;
  return (flags & kTcpFin) != 0 ? FlowSign::kCloses : FlowSign::kGoesOn;
}

// Precondition: parse_ip<F>() took the frame, and it is no later fragment and no ICMP error.
template <class F>
FlowSign flow_sign(std::span<const std::byte> frame, std::uint32_t ip_offset);

}  // namespace anypop::l4lb
