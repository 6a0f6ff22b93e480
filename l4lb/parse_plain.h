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

namespace anypop::l4lb {

// True: parse_ethernet() would find this family kPlainIpOffset bytes into the frame, parse_ip() a whole flow without
// fault or fragment, and it is in `flow`. False: nothing is known, and `flow` may have changed.
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

// Of the transport headers that have ports; 0: another protocol.
inline std::uint32_t transport_bytes(wire::IpProtocol protocol) {
  if (protocol == wire::IpProtocol::kTcp) [[likely]]
    return sizeof(wire::Tcp);
  return protocol == wire::IpProtocol::kUdp ? sizeof(wire::Udp) : 0;
}

// Source, destination and both ports follow one another in every plain packet, and in a flow.
template <class F>
void copy_flow(const std::byte* source_address, wire::IpProtocol protocol, Flow<F>& flow) {
  constexpr std::size_t kCopied = offsetof(Flow<F>, protocol);
  static_assert(kCopied == 2 * sizeof(typename F::Address) + 2 * sizeof(wire::be16));
  std::memcpy(&flow, source_address, kCopied);
  flow.protocol = protocol;
  flow.padding = {};
}

}  // namespace plain

// Does the transport header of a TCP segment follow the IP header of the least size? Precondition: parse_ip() took it.
template <class F>
bool is_bare(const std::byte* ip) {
  if constexpr (F::kFamily == Family::kV4) {
    return wire::View<wire::Ipv4>(ip)[&wire::Ipv4::version_and_ihl].raw == 0x45;
  } else {
    return wire::View<wire::Ipv6>(ip)[&wire::Ipv6::next_header] == wire::IpProtocol::kTcp;
  }
}

template <class F>
bool parse_plain(std::span<const std::byte> frame, Flow<F>& flow);

// EtherType, version and header length in one comparison.
template <>
[[gnu::always_inline]] inline bool parse_plain<V4>(std::span<const std::byte> frame, Flow<V4>& flow) {
  if (frame.size() < kPlainIpOffset + sizeof(wire::Ipv4) + sizeof(wire::Udp)) return false;
  constexpr std::array<std::uint8_t, 4> kExpected = {0x08, 0x00, 0x45, 0};
  constexpr std::array<std::uint8_t, 4> kMask = {0xff, 0xff, 0xff, 0};
  const auto start = plain::load<std::uint32_t>(frame.data() + offsetof(wire::Ethernet, type));
  if ((start & std::bit_cast<std::uint32_t>(kMask)) != std::bit_cast<std::uint32_t>(kExpected)) return false;
  const std::byte* const ip = frame.data() + kPlainIpOffset;
  const wire::View<wire::Ipv4> header(ip);
  if (header[&wire::Ipv4::flags_and_offset].is_fragment()) return false;
  const wire::IpProtocol protocol = header[&wire::Ipv4::protocol];
  const std::uint32_t transport = plain::transport_bytes(protocol);
  const std::uint32_t total = header[&wire::Ipv4::total_length].host();
  if (transport == 0 || total < sizeof(wire::Ipv4) + transport || total > frame.size() - kPlainIpOffset) return false;
  plain::copy_flow(ip + offsetof(wire::Ipv4, source), protocol, flow);
  return true;
}

template <>
[[gnu::always_inline]] inline bool parse_plain<V6>(std::span<const std::byte> frame, Flow<V6>& flow) {
  if (frame.size() < kPlainIpOffset + sizeof(wire::Ipv6) + sizeof(wire::Udp)) return false;
  if (!plain::has_type(frame.data(), wire::EtherType::kIpv6)) return false;
  const std::byte* const ip = frame.data() + kPlainIpOffset;
  const wire::View<wire::Ipv6> header(ip);
  if (header[&wire::Ipv6::version_class_label].version() != 6) return false;
  const wire::IpProtocol protocol = header[&wire::Ipv6::next_header];
  const std::uint32_t transport = plain::transport_bytes(protocol);
  const std::uint32_t payload = header[&wire::Ipv6::payload_length].host();
  if (transport == 0 || payload < transport) return false;
  if (payload > frame.size() - kPlainIpOffset - sizeof(wire::Ipv6)) return false;
  plain::copy_flow(ip + offsetof(wire::Ipv6, source), protocol, flow);
  return true;
}

}  // namespace anypop::l4lb
