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
//   8. a fragment behind the first one                               kDropFragment
//   9. neither TCP, UDP nor this family's ICMP, or not within
//      kMaxExtensions headers                                        kDropUnsupported
//  10. TCP (20 bytes), UDP (8) or ICMP (8) header not whole          kDropTruncated
//  11. ICMP in a fragment                                            kDropFragment
//  12. ICMP                                                          kDropIcmp
//
// The verdicts of 8 and 12 are not the last word: fragments.h and icmp.h find flows behind many of these packets. An
// IPv6 fragment header of a whole packet ("atomic", RFC 6946) is only walked over.
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

// What lies behind the Ethernet header and its tags. Both of a size, so that it is returned in one register without
// being put together in memory first.
struct Layer2 {
  enum class Next : std::uint32_t { kIpv4, kIpv6, kArp, kOther, kTruncated };
  Next next = Next::kTruncated;
  std::uint32_t ip_offset = 0;  // bytes from the start of the frame, for kIpv4 and kIpv6
};
Layer2 parse_ethernet(std::span<const std::byte> frame);

enum class Fragment : std::uint8_t { kWhole, kFirst, kLater };

// What parse_ip() found. With `fault` kForward the flow is whole. Otherwise `fault` is the verdict, provided that the
// destination is a VIP or was not reached.
struct IpFinding {
  Verdict fault = Verdict::kForward;
  bool destination_known = false;
  Fragment fragment = Fragment::kWhole;
  std::uint32_t fragment_id = 0;  // of a fragment
  // From 7. on, else 0: where the transport header begins in the frame, or what was there instead; and where the IP
  // packet ends.
  std::uint32_t transport_at = 0;
  std::uint32_t end = 0;
};
// Fills `flow` as far as it gets. Precondition: ip_offset <= frame.size().
template <class F>
IpFinding parse_ip(std::span<const std::byte> frame, std::uint32_t ip_offset, Flow<F>& flow);
template <>
IpFinding parse_ip<V4>(std::span<const std::byte> frame, std::uint32_t ip_offset, Flow<V4>& flow);
template <>
IpFinding parse_ip<V6>(std::span<const std::byte> frame, std::uint32_t ip_offset, Flow<V6>& flow);

// What a whole UDP datagram carries, up to the end of the IP packet: UDP's own length is not looked at. Empty if the
// frame holds no such thing, or a fragment. Precondition: as parse_ip().
template <class F>
std::span<const std::byte> udp_payload(std::span<const std::byte> frame, std::uint32_t ip_offset);

// The flow of the start of a packet, as an ICMP error quotes it: its end may be missing, but not the ports. False:
// nothing usable (cut before the ports, neither TCP nor UDP, a later fragment, not this family).
template <class F>
bool parse_quoted(std::span<const std::byte> quoted, Flow<F>& flow);

// How much of the same, from its start, decides that.
template <class F>
std::uint32_t quoted_header_bytes(std::span<const std::byte> quoted);

}  // namespace anypop::l4lb
