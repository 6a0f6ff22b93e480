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
#include "parse_plain.h"
#include "quic.h"

namespace anypop::l4lb {

enum class FlowSign : std::uint8_t { kGoesOn, kOpens, kCloses, kResets };

// Of the flags of a TCP header.
inline FlowSign sign_of_tcp(std::uint8_t flags) {
  constexpr std::uint8_t kFin = 0x01;
  constexpr std::uint8_t kSyn = 0x02;
  constexpr std::uint8_t kRst = 0x04;
  constexpr std::uint8_t kAck = 0x10;
  const auto of_interest = static_cast<std::uint8_t>(flags & (kFin | kSyn | kRst | kAck));
  if (of_interest == kAck) [[likely]]
    return FlowSign::kGoesOn;
  if (of_interest == kSyn) return FlowSign::kOpens;
  if ((flags & kRst) != 0) return FlowSign::kResets;
  return (flags & kFin) != 0 ? FlowSign::kCloses : FlowSign::kGoesOn;
}

// Of packets that are not plain, and of QUIC.
template <class F>
FlowSign flow_sign_slowly(std::span<const std::byte> frame, std::uint32_t ip_offset);

// Precondition: parse_ip<F>() took the frame, it is no later fragment and no ICMP error, and `protocol` is what it
// found.
template <class F>
inline FlowSign flow_sign(std::span<const std::byte> frame, std::uint32_t ip_offset, wire::IpProtocol protocol) {
  const std::byte* const ip = frame.data() + ip_offset;
  if (protocol == wire::IpProtocol::kTcp && is_bare<F>(ip)) [[likely]] {
    return sign_of_tcp(wire::View<wire::Tcp>(ip + sizeof(typename F::Header))[&wire::Tcp::flags]);
  }
  if (protocol == wire::IpProtocol::kUdp && frame.size() < kQuicInitialBytes) return FlowSign::kGoesOn;
  return flow_sign_slowly<F>(frame, ip_offset);
}

}  // namespace anypop::l4lb
