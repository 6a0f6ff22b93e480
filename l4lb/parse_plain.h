// SPDX-License-Identifier: Apache-2.0
// The packets that nearly all of them are, parsed in few instructions and in place: untagged, whole, TCP or UDP, in
// IPv4 without options or in IPv6 without extension headers. For every other packet there is parse.h.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "flow.h"
#include "service_table.h"

namespace anypop::l4lb {

// Plain is what parse_ethernet() would find this far into the frame, and parse_ip() a whole flow, without fault or
// fragment. (Of what is none, nothing is known.)
inline constexpr std::uint32_t kPlainIpOffset = sizeof(wire::Ethernet);

namespace plain {

template <class T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

inline bool has_type(const std::byte* frame, wire::EtherType type) {
  return load<wire::be16>(frame + offsetof(wire::Ethernet, type)) == wire::be16(static_cast<std::uint16_t>(type));
}

// The least that a plain frame holds. Shorter ones are UDP, over IPv6, with a payload of a few bytes: Ethernet pads
// IPv4 to more.
template <class Header>
inline constexpr std::size_t kLeastBytes = kPlainIpOffset + sizeof(Header) + sizeof(wire::Tcp);

// Is it TCP or UDP, with a whole header in the `bytes` of IP payload, and these in the frame? `bytes` may have become
// negative. Precondition: frame_bytes >= kLeastBytes.
template <class Header>
[[gnu::always_inline]] inline bool holds_transport(wire::IpProtocol protocol, std::size_t bytes,
                                                   std::size_t frame_bytes) {
  // Both conditions in one, by unsigned arithmetic.
  std::size_t least = sizeof(wire::Tcp);
  if (protocol != wire::IpProtocol::kTcp) [[unlikely]] {
    if (protocol != wire::IpProtocol::kUdp) return false;
    least = sizeof(wire::Udp);
  }
  return bytes - least <= frame_bytes - (kPlainIpOffset + sizeof(Header)) - least;
}

// Source, destination and both ports follow one another in every plain packet, and in a flow.
[[gnu::always_inline]] inline void copy_flow(const std::byte* source_address, wire::IpProtocol protocol, auto& flow) {
  using F = std::remove_reference_t<decltype(flow)>;
  constexpr std::size_t kPortsAt = offsetof(F, source_port);
  constexpr std::size_t kRest = sizeof(F) - kPortsAt;
  static_assert(offsetof(F, protocol) == kPortsAt + sizeof(std::uint32_t));
  // In whole words: the hash reads 16 bytes at a time, and would have to wait for many small stores.
  using Words [[gnu::vector_size(kRest)]] = std::uint64_t;
  const Words rest = {load<std::uint32_t>(source_address + kPortsAt) | (static_cast<std::uint64_t>(protocol) << 32U)};
  auto* const bytes = reinterpret_cast<std::byte*>(&flow);
  std::memcpy(bytes, source_address, kPortsAt);
  std::memcpy(bytes + kPortsAt, &rest, sizeof(rest));
}

}  // namespace plain

// The transport protocol of a plain packet of this family; kNotPlain: it is none.
inline constexpr wire::IpProtocol kNotPlain = wire::IpProtocol::kHopByHop;
template <class F>
wire::IpProtocol parse_plain(std::span<const std::byte> frame);

// EtherType, version and header length in one comparison.
template <>
[[gnu::always_inline]] inline wire::IpProtocol parse_plain<V4>(std::span<const std::byte> frame) {
  if (frame.size() < plain::kLeastBytes<wire::Ipv4>) return kNotPlain;
  constexpr std::array<std::uint8_t, 4> kExpected = {0x08, 0x00, 0x45, 0};
  constexpr std::array<std::uint8_t, 4> kMask = {0xff, 0xff, 0xff, 0};
  const auto start = plain::load<std::uint32_t>(frame.data() + offsetof(wire::Ethernet, type));
  if ((start & std::bit_cast<std::uint32_t>(kMask)) != std::bit_cast<std::uint32_t>(kExpected)) return kNotPlain;
  const wire::View<wire::Ipv4> header(frame.data() + kPlainIpOffset);
  if (header[&wire::Ipv4::flags_and_offset].is_fragment()) return kNotPlain;
  const wire::IpProtocol protocol = header[&wire::Ipv4::protocol];
  const std::size_t total = header[&wire::Ipv4::total_length].host();
  const bool whole = plain::holds_transport<wire::Ipv4>(protocol, total - sizeof(wire::Ipv4), frame.size());
  return whole ? protocol : kNotPlain;
}

template <>
[[gnu::always_inline]] inline wire::IpProtocol parse_plain<V6>(std::span<const std::byte> frame) {
  if (frame.size() < plain::kLeastBytes<wire::Ipv6>) return kNotPlain;
  if (!plain::has_type(frame.data(), wire::EtherType::kIpv6)) return kNotPlain;
  const wire::View<wire::Ipv6> header(frame.data() + kPlainIpOffset);
  if (header[&wire::Ipv6::version_class_label].version() != 6) return kNotPlain;
  const wire::IpProtocol protocol = header[&wire::Ipv6::next_header];
  const std::size_t payload = header[&wire::Ipv6::payload_length].host();
  const bool whole = plain::holds_transport<wire::Ipv6>(protocol, payload, frame.size());
  return whole ? protocol : kNotPlain;
}

// The flow of a plain packet, which has that protocol.
template <class F>
[[gnu::always_inline]] inline void plain_flow(const std::byte* frame, wire::IpProtocol protocol, Flow<F>& flow) {
  plain::copy_flow(frame + kPlainIpOffset + offsetof(typename F::Header, source), protocol, flow);
}

// pack(flow) of the same: read again from the frame, because what has just been stored in pieces cannot be read back as
// a whole without waiting.
template <class F>
[[gnu::always_inline]] inline PackedKey<F> plain_key(const std::byte* frame, wire::IpProtocol protocol) {
  const std::byte* const destination = frame + kPlainIpOffset + offsetof(typename F::Header, destination);
  if constexpr (F::kFamily == Family::kV4) {
    // The source port, which follows the address, makes room for the protocol.
    static_assert(std::endian::native == std::endian::little);
    return {{(plain::load<std::uint64_t>(destination) & 0xffff'0000'ffff'ffffULL) |
             (static_cast<std::uint64_t>(protocol) << 32U)}};
  } else {
    const auto port =
        plain::load<wire::be16>(destination + sizeof(typename F::Address) + offsetof(wire::Tcp, destination_port));
    // Half by half: through an Address the bytes would take the way through memory once more.
    return {{plain::load<std::uint64_t>(destination), plain::load<std::uint64_t>(destination + sizeof(std::uint64_t)),
             std::uint64_t{port.raw()} | (static_cast<std::uint64_t>(protocol) << 16U)}};
  }
}

}  // namespace anypop::l4lb
