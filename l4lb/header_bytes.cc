// SPDX-License-Identifier: Apache-2.0
#include "l4lb/header_bytes.h"

#include <algorithm>

#include "parse.h"
#include "quic.h"

namespace anypop::l4lb {
namespace {

// An ICMP error quotes an IP header and at least 8 bytes more: RFC 792; with IPv6 extension headers more.
constexpr std::uint32_t kQuotedBytes = sizeof(wire::Ipv6) + kMaxExtensions * 8 + 8;

template <class F>
std::uint32_t ip_header_bytes(std::span<const std::byte> frame, std::uint32_t ip_offset) {
  Flow<F> flow;
  const IpFinding found = parse_ip<F>(frame, ip_offset, flow);
  const auto all = static_cast<std::uint32_t>(frame.size());
  std::uint32_t least = ip_offset + std::uint32_t{sizeof(typename F::Header)};
  if (found.transport_at != 0) {
    least = found.transport_at + std::uint32_t{sizeof(wire::Icmp)};
    if (flow.protocol == wire::IpProtocol::kTcp) least = found.transport_at + std::uint32_t{sizeof(wire::Tcp)};
    if (flow.protocol == F::kIcmp) least += kQuotedBytes;
    if (flow.protocol == wire::IpProtocol::kUdp) least += kQuicHeaderBytes;
  }
  return std::min(least, all);
}

}  // namespace

std::uint32_t header_bytes(std::span<const std::byte> frame) {
  const Layer2 layer2 = parse_ethernet(frame);
  switch (layer2.next) {
    case Layer2::Next::kIpv4: return ip_header_bytes<V4>(frame, layer2.ip_offset);
    case Layer2::Next::kIpv6: return ip_header_bytes<V6>(frame, layer2.ip_offset);
    case Layer2::Next::kOther:
    case Layer2::Next::kTruncated: break;
  }
  return static_cast<std::uint32_t>(
      std::min(frame.size(), sizeof(wire::Ethernet) + kMaxVlanTags * sizeof(wire::VlanTag)));
}

}  // namespace anypop::l4lb
