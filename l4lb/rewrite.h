// SPDX-License-Identifier: Apache-2.0
// How what is prebuilt gets before a packet: adjacency.cc's part that the packet path wants inlined.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "adjacency.h"
#include "checksum.h"

namespace anypop::l4lb::rewrite {

using wire::be16;
using wire::be32;
using wire::Edit;
using wire::View;

// Which outer family, and what follows the outer IP header.
template <Shape shape>
struct Outer {
  static constexpr bool kV4 = shape == Shape::kIpip4 || shape == Shape::kGre4 || shape == Shape::kGue4;
  static constexpr bool kGre = shape == Shape::kGre4 || shape == Shape::kGre6;
  static constexpr bool kGue = shape == Shape::kGue4 || shape == Shape::kGue6;
  static constexpr std::uint32_t kIpBytes = kV4 ? sizeof(wire::Ipv4) : sizeof(wire::Ipv6);
  static constexpr std::uint32_t kShimBytes =
      kGre ? sizeof(wire::Gre) : (kGue ? sizeof(wire::Udp) + sizeof(wire::Gue) : 0);
  static constexpr std::uint32_t kBytes = kIpBytes + kShimBytes;
};
static_assert(Outer<Shape::kGue6>::kBytes == kHeadroomBytes);

// Scaled, so that every address of the prefix is as likely as every other.
inline std::uint32_t source_of(const Adjacency& adjacency, std::uint32_t entropy) {
  return adjacency.first_source + static_cast<std::uint32_t>((std::uint64_t{entropy} * adjacency.sources) >> 32U);
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
inline void finish_ipv4(const Adjacency& adjacency, Inner inner, std::uint32_t total_bytes, std::uint32_t entropy,
                        std::byte* at) {
  const be32 first(0x45000000U + inner.class_bits + total_bytes);
  const be32 source(source_of(adjacency, entropy));
  const View<wire::Ipv4> prebuilt(adjacency.rewrite.data() + Adjacency::kEthernetBytes);
  const std::uint64_t sum = std::uint64_t{prebuilt[&wire::Ipv4::checksum].raw()} + first.raw() + source.raw();
  std::memcpy(at, &first, sizeof(first));
  Edit<wire::Ipv4>(at).set(&wire::Ipv4::checksum, checksum_raw(sum)).set(&wire::Ipv4::source, {source});
}

inline void finish_ipv6(const Adjacency& adjacency, Inner inner, std::uint32_t payload_bytes, std::uint32_t entropy,
                        std::byte* at) {
  constexpr std::size_t kVariableAt = offsetof(wire::Ipv6, source) + sizeof(wire::Ipv6Address) - sizeof(be32);
  const be32 low(source_of(adjacency, entropy));
  std::memcpy(at + kVariableAt, &low, sizeof(low));
  const std::uint32_t word = 0x60000000U | (inner.class_bits << 4U) | flow_label(entropy);
  Edit<wire::Ipv6>(at)
      .set(&wire::Ipv6::version_class_label, {be32(word)})
      .set(&wire::Ipv6::payload_length, be16(static_cast<std::uint16_t>(payload_bytes)));
}

// Of a datagram over IPv6, whose checksum field holds the sum of what does not vary. Nothing is read back that has just
// been written: the processor would have to wait for it.
inline be16 udp6_checksum(const Adjacency& adjacency, be16 from, be16 udp_bytes, std::uint32_t entropy,
                          std::span<const std::byte> inner) {
  const View<wire::Udp> prebuilt(adjacency.rewrite.data() + Adjacency::kEthernetBytes + sizeof(wire::Ipv6));
  const be32 source(source_of(adjacency, entropy));
  const be16 value = checksum_raw(std::uint64_t{prebuilt[&wire::Udp::checksum].raw()} + source.raw() + from.raw() +
                                  2 * std::uint64_t{udp_bytes.raw()} +  // the pseudo-header has it too
                                  sum_raw(inner));
  return value == be16(0) ? be16(0xffff) : value;  // zero would say that there is none
}

// What depends on the packet, in the outer header at `at`.
template <Shape shape>
[[gnu::always_inline]] inline void finish(const Adjacency& adjacency, Inner inner, std::uint32_t entropy,
                                          std::byte* at) {
  using O = Outer<shape>;
  const std::uint32_t payload_bytes = O::kShimBytes + inner.bytes;
  if constexpr (O::kV4) {
    finish_ipv4(adjacency, inner, O::kIpBytes + payload_bytes, entropy, at);
  } else {
    finish_ipv6(adjacency, inner, payload_bytes, entropy, at);
  }
  if constexpr (O::kGue) {
    const be16 from(source_port(entropy));
    const be16 udp_bytes(static_cast<std::uint16_t>(payload_bytes));
    Edit<wire::Udp> udp(at + O::kIpBytes);
    udp.set(&wire::Udp::source_port, from).set(&wire::Udp::length, udp_bytes);
    if (!O::kV4 && adjacency.udp_checksum) {
      const std::span<const std::byte> packet(at + O::kBytes, inner.bytes);
      udp.set(&wire::Udp::checksum, udp6_checksum(adjacency, from, udp_bytes, entropy, packet));
    }
  }
}

// The frame's first bytes, up to and with the outer header. Tags lie between the MAC addresses and the EtherType.
template <Shape shape>
[[gnu::always_inline]] inline void put(const Adjacency& adjacency, std::uint32_t ip_offset, const std::byte* old_frame,
                                       std::byte* frame) {
  constexpr std::uint32_t kTagsAt = offsetof(wire::Ethernet, type);
  const std::byte* const prebuilt = adjacency.rewrite.data();
  if (ip_offset == sizeof(wire::Ethernet)) {
    std::memcpy(frame, prebuilt, sizeof(wire::Ethernet) + Outer<shape>::kBytes);
    return;
  }
  const std::uint32_t tag_bytes = ip_offset - std::uint32_t{sizeof(wire::Ethernet)};
  std::memmove(frame + kTagsAt, old_frame + kTagsAt, tag_bytes);
  std::memcpy(frame, prebuilt, kTagsAt);
  std::memcpy(frame + kTagsAt + tag_bytes, prebuilt + kTagsAt, sizeof(wire::Ethernet) - kTagsAt + Outer<shape>::kBytes);
}

template <class F, Shape shape>
[[gnu::always_inline]] inline Verdict wrap(const Adjacency& adjacency, std::uint32_t entropy, std::uint32_t ip_offset,
                                           Packet& packet) {
  constexpr std::uint32_t kBytes = Outer<shape>::kBytes;
  const Inner inner = inner_of<F>(packet.data + ip_offset);
  if (inner.bytes > adjacency.inner_max_bytes) [[unlikely]]
    return Verdict::kDropTooBig;
  if (packet.headroom_bytes < kBytes) [[unlikely]]
    return Verdict::kDropNoHeadroom;
  std::byte* const frame = packet.data - kBytes;
  put<shape>(adjacency, ip_offset, packet.data, frame);
  finish<shape>(adjacency, inner, entropy, frame + ip_offset);
  packet.data = frame;
  packet.headroom_bytes -= kBytes;
  packet.length_bytes = ip_offset + kBytes + inner.bytes;
  return Verdict::kForward;
}

[[gnu::always_inline]] inline Verdict readdress(const Adjacency& adjacency, Packet& packet) {
  std::memcpy(packet.data, adjacency.rewrite.data(), offsetof(wire::Ethernet, type));
  return Verdict::kForward;
}

}  // namespace anypop::l4lb::rewrite

namespace anypop::l4lb {

// send_by(), inlined for what is most frequent: IP in IP without tags, and no tunnel.
template <class F>
[[gnu::always_inline]] inline Verdict send_by_inline(const Adjacency& adjacency, std::uint32_t entropy,
                                                     Packet& packet) {
  constexpr std::uint32_t kAt = sizeof(wire::Ethernet);
  if (packet.ip_offset == kAt && adjacency.shape == Shape::kIpip4) [[likely]]
    return rewrite::wrap<F, Shape::kIpip4>(adjacency, entropy, kAt, packet);
  if (packet.ip_offset == kAt && adjacency.shape == Shape::kIpip6)
    return rewrite::wrap<F, Shape::kIpip6>(adjacency, entropy, kAt, packet);
  if (adjacency.shape == Shape::kDirect) return rewrite::readdress(adjacency, packet);
  return send_by<F>(adjacency, entropy, packet);
}

}  // namespace anypop::l4lb
