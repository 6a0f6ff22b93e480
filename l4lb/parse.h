// SPDX-License-Identifier: Apache-2.0
// From bytes to a flow, without ever reading behind the frame. The only place that touches raw headers.
//
// Order of the decisions, first match wins. The idea: until the destination is known nothing can be somebody else's
// packet; once it is known, it alone decides whose packet this is, and its faults matter only if it is ours.
//
//   1. Ethernet header or VLAN tag not whole                         kDropTruncated
//   2. neither IPv4 nor IPv6 behind at most two tags                 kPassNotVip (ARP, LLDP, a third tag, 802.3 length)
//   3. fixed IP header (20 or 40 bytes) not whole                    kDropTruncated
//   4. IP version differs from the EtherType                         kDropMalformed
//   —— from here on the destination is known: if it is no VIP,      kPassNotVip, else:
//   5. IPv4 header length under 20 bytes, or over the total length   kDropMalformed
//   6. the frame holds less than the IP header's length promises     kDropTruncated (more is Ethernet padding: allowed)
//   7. IPv6 extension header not whole inside that length            kDropTruncated
//   8. IPv4 or IPv6 fragment; an atomic IPv6 fragment is none        kDropFragment (RFC 6946)
//   9. neither TCP nor UDP, or not within kMaxExtensions headers     kDropUnsupported
//  10. TCP (20 bytes) or UDP (8 bytes) header not whole              kDropTruncated
//
// Not looked at: checksums (the NIC's and the backend's work; nothing that they cover is changed here), TTL, TCP's data
// offset, UDP's length: a backend refuses those by itself, exactly as if no balancer stood before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "flow.h"
#include "l4lb/verdict.h"

namespace anypop::l4lb {

inline constexpr unsigned kMaxVlanTags = 2;
// Hop-by-hop, destination options, routing, fragment and destination options again is the longest chain that RFC 8200
// recommends (without IPsec); one more is grace.
inline constexpr unsigned kMaxExtensions = 6;

// What lies behind the Ethernet header and its tags.
struct Layer2 {
  enum class Next : std::uint8_t { kIpv4, kIpv6, kOther, kTruncated };
  Next next = Next::kTruncated;
  std::uint32_t ip_offset = 0;  // bytes from the start of the frame, for kIpv4 and kIpv6
};
Layer2 parse_ethernet(std::span<const std::byte> frame);

// What parse_ip() found. With `fault` kForward the flow is whole. Otherwise `fault` is the verdict, provided that the
// destination is a VIP or was not reached.
struct IpFinding {
  Verdict fault = Verdict::kForward;
  bool destination_known = false;
};
// Fills `flow` as far as it gets. Precondition: ip_offset <= frame.size().
template <class F>
IpFinding parse_ip(std::span<const std::byte> frame, std::uint32_t ip_offset, Flow<F>& flow);
template <>
IpFinding parse_ip<V4>(std::span<const std::byte> frame, std::uint32_t ip_offset, Flow<V4>& flow);
template <>
IpFinding parse_ip<V6>(std::span<const std::byte> frame, std::uint32_t ip_offset, Flow<V6>& flow);

}  // namespace anypop::l4lb
