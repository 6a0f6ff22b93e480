// SPDX-License-Identifier: Apache-2.0
// How a prebuilt outer header is put before a packet: tunnel.cc's part that the packet path wants inlined.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "checksum.h"
#include "tunnel.h"

namespace anypop::l4lb::tunnels {

using wire::be16;
using wire::be32;
using wire::Edit;
using wire::View;

// Which outer family, and what follows the outer IP header.
template <TunnelShape shape>
struct Shape {
  static constexpr bool kV4 =
      shape == TunnelShape::kIpip4 || shape == TunnelShape::kGre4 || shape == TunnelShape::kGue4;
  static constexpr bool kGre = shape == TunnelShape::kGre4 || shape == TunnelShape::kGre6;
  static constexpr bool kGue = shape == TunnelShape::kGue4 || shape == TunnelShape::kGue6;
  static constexpr std::uint32_t kIpBytes = kV4 ? sizeof(wire::Ipv4) : sizeof(wire::Ipv6);
  static constexpr std::uint32_t kShimBytes =
      kGre ? sizeof(wire::Gre) : (kGue ? sizeof(wire::Udp) + sizeof(wire::Gue) : 0);
  static constexpr std::uint32_t kBytes = kIpBytes + kShimBytes;
};
static_assert(Shape<TunnelShape::kGue6>::kBytes == kHeadroomBytes);

// Scaled, so that every address of the prefix is as likely as every other.
inline std::uint32_t source_offset(const Tunnel& tunnel, std::uint32_t entropy) {
  return static_cast<std::uint32_t>((std::uint64_t{entropy} * tunnel.sources) >> 32U);
}

// Parts of the entropy that the source address uses last come first here.
inline std::uint32_t flow_label(std::uint32_t entropy) { return (entropy * 0x9e3779b1U) >> 12U; }
// The dynamic ports of RFC 6335, 49152 to 65535, as RFC 7348 advises for the same purpose.
inline std::uint16_t source_port(std::uint32_t entropy) {
  return static_cast<std::uint16_t>(0xc000U | ((entropy * 0x9e3779b1U) >> 18U));
}

struct Inner {
  std::uint32_t class_bits;  // the traffic class, where an IPv4 header's first word has it
  std::uint32_t bytes;
};

template <class F>
Inner inner_of(const std::byte* ip) {
  constexpr std::uint32_t kClass = 0x00ff0000U;
  be32 first;
  std::memcpy(&first, ip, sizeof(first));
  if constexpr (F::kFamily == Family::kV4) {
    return {.class_bits = first.host() & kClass, .bytes = first.host() & 0xffffU};
  } else {
    return {.class_bits = (first.host() >> 4U) & kClass,
            .bytes = std::uint32_t{sizeof(wire::Ipv6)} + View<wire::Ipv6>(ip)[&wire::Ipv6::payload_length].host()};
  }
}

// The first word and the source address, and the checksum over them and what the prebuilt header has summed up already.
// Sums are of words as they lie on the wire (RFC 1071 section 2), so nothing need be turned round for them.
inline void finish_ipv4(const Tunnel& tunnel, Inner inner, std::uint32_t total_bytes, std::uint32_t entropy,
                        std::byte* at) {
  const be32 first(0x45000000U + inner.class_bits + total_bytes);
  const be32 source(tunnel.first_source + source_offset(tunnel, entropy));
  const std::uint64_t sum =
      std::uint64_t{View<wire::Ipv4>(tunnel.header.data())[&wire::Ipv4::checksum].raw()} + first.raw() + source.raw();
  std::memcpy(at, &first, sizeof(first));
  Edit<wire::Ipv4>(at)
      .set(&wire::Ipv4::checksum, std::bit_cast<be16>(static_cast<std::uint16_t>(~fold(sum))))
      .set(&wire::Ipv4::source, {source});
}

inline void finish_ipv6(const Tunnel& tunnel, Inner inner, std::uint32_t payload_bytes, std::uint32_t entropy,
                        std::byte* at) {
  constexpr std::size_t kVariableAt = offsetof(wire::Ipv6, source) + sizeof(wire::Ipv6Address) - sizeof(be32);
  const be32 low(tunnel.first_source + source_offset(tunnel, entropy));
  std::memcpy(at + kVariableAt, &low, sizeof(low));
  const std::uint32_t word = 0x60000000U | (inner.class_bits << 4U) | flow_label(entropy);
  Edit<wire::Ipv6>(at)
      .set(&wire::Ipv6::version_class_label, {be32(word)})
      .set(&wire::Ipv6::payload_length, be16(static_cast<std::uint16_t>(payload_bytes)));
}

// Of the datagram at `udp`, whose checksum field is zero.
inline be16 udp6_checksum(const std::byte* ip, const std::byte* udp, std::uint32_t udp_bytes) {
  const std::uint64_t pseudo = sum_words({ip + offsetof(wire::Ipv6, source), 2 * sizeof(wire::Ipv6Address)}) +
                               udp_bytes + static_cast<std::uint8_t>(wire::IpProtocol::kUdp);
  const be16 value = checksum(pseudo + sum_words({udp, udp_bytes}));
  return value == be16(0) ? be16(0xffff) : value;  // zero would say that there is none
}

template <TunnelShape shape>
[[gnu::always_inline]] inline void write(const Tunnel& tunnel, Inner inner, std::uint32_t entropy, std::byte* at) {
  using S = Shape<shape>;
  constexpr std::uint32_t kFirst = S::kV4 ? sizeof(be32) : 0;  // finish_ipv4() writes the first word
  std::memcpy(at + kFirst, tunnel.header.data() + kFirst, S::kBytes - kFirst);
  const std::uint32_t payload_bytes = S::kShimBytes + inner.bytes;
  if constexpr (S::kV4) {
    finish_ipv4(tunnel, inner, S::kIpBytes + payload_bytes, entropy, at);
  } else {
    finish_ipv6(tunnel, inner, payload_bytes, entropy, at);
  }
  if constexpr (S::kGue) {
    std::byte* const udp = at + S::kIpBytes;
    Edit<wire::Udp>(udp)
        .set(&wire::Udp::source_port, be16(source_port(entropy)))
        .set(&wire::Udp::length, be16(static_cast<std::uint16_t>(payload_bytes)));
    if (!S::kV4 && tunnel.udp_checksum) {
      Edit<wire::Udp>(udp).set(&wire::Udp::checksum, udp6_checksum(at, udp, payload_bytes));
    }
  }
}

template <TunnelShape shape>
[[gnu::always_inline]] inline Verdict put_before(const Tunnel& tunnel, Inner inner, std::uint32_t entropy,
                                                 std::uint32_t ip_offset, Packet& packet) {
  constexpr std::uint32_t kBytes = Shape<shape>::kBytes;
  if (packet.headroom_bytes < kBytes) return Verdict::kDropNoHeadroom;
  std::byte* const frame = packet.data - kBytes;
  // MAC addresses are written by the caller; the tags move along.
  constexpr std::uint32_t kTagsAt = offsetof(wire::Ethernet, type);
  if (ip_offset != sizeof(wire::Ethernet)) {
    std::memmove(frame + kTagsAt, packet.data + kTagsAt, ip_offset - sizeof(wire::Ethernet));
  }
  const be16 type(static_cast<std::uint16_t>(Shape<shape>::kV4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6));
  std::memcpy(frame + ip_offset - sizeof(type), &type, sizeof(type));
  write<shape>(tunnel, inner, entropy, frame + ip_offset);
  packet.data = frame;
  packet.headroom_bytes -= kBytes;
  packet.length_bytes = ip_offset + kBytes + inner.bytes;
  return Verdict::kForward;
}

}  // namespace anypop::l4lb::tunnels

namespace anypop::l4lb {

namespace tunnels {

template <class F, TunnelShape shape>
[[gnu::always_inline]] inline Verdict wrap(const Tunnel& tunnel, std::uint32_t entropy, std::uint32_t ip_offset,
                                           Packet& packet) {
  const Inner inner = inner_of<F>(packet.data + ip_offset);
  if (inner.bytes > tunnel.inner_max_bytes) [[unlikely]]
    return Verdict::kDropTooBig;
  return put_before<shape>(tunnel, inner, entropy, ip_offset, packet);
}

}  // namespace tunnels

// encapsulate(), inlined for what is most frequent: IP in IP without tags.
template <class F>
[[gnu::always_inline]] inline Verdict encapsulate_inline(const Tunnel& tunnel, std::uint32_t entropy, Packet& packet) {
  constexpr std::uint32_t kAt = sizeof(wire::Ethernet);
  if (packet.ip_offset == kAt) [[likely]] {
    if (tunnel.shape == TunnelShape::kIpip4) return tunnels::wrap<F, TunnelShape::kIpip4>(tunnel, entropy, kAt, packet);
    if (tunnel.shape == TunnelShape::kIpip6) return tunnels::wrap<F, TunnelShape::kIpip6>(tunnel, entropy, kAt, packet);
  }
  return encapsulate<F>(tunnel, entropy, packet.ip_offset, packet);
}

}  // namespace anypop::l4lb
