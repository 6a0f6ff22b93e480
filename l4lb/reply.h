// SPDX-License-Identifier: Apache-2.0
// Answers that the engine gives by itself, made of the frame that asks for them: it is turned round on the spot and
// leaves by the port it came in by, through the router that brought it. Its source is the VIP, because that is what the
// sender knows and what the PoP may send from.
//
// RFC 792 and 1191 ("fragmentation needed"), 1812 section 4.3.2 (to whom no error is sent, how much is quoted),
// 4443 ("packet too big", echo), 1624 (a checksum after a change).
#pragma once

#include <cstdint>

#include "flow.h"
#include "l4lb/pipeline.h"

namespace anypop::l4lb {

// The packet at `ip_offset`, one that parse_ip() took, has become an ICMP error that quotes it and names the largest
// size that fits. kReplyTooBig; or, and then the packet is as it was:
//   kDropTooBig      its sender must not or cannot be answered: a group or void source address, a frame for a group
//   kDropReplyLimit  there have been too many errors of late
//   kDropNoHeadroom
// An IPv4 packet without "don't fragment" is answered as well: it cannot be fragmented here, and a host that keeps a
// path MTU will then do it by itself.
template <class F>
Verdict reply_too_big(std::uint32_t ip_offset, std::uint16_t fits_bytes, std::uint32_t now_ms, TokenBucket& bucket,
                      Packet& packet);

// The echo request has become its reply: addresses turned round, a fresh TTL, the rest as it was. kReplyEcho; or, and
// then the packet is as it was:
//   kDropIcmp        its sender cannot be answered, or there are IPv4 options or IPv6 extension headers before it
//   kDropReplyLimit  there have been too many of late
// `icmp_at` is where the ICMP header begins in the frame, `end` where the IP packet ends.
template <class F>
Verdict reply_echo(std::uint32_t ip_offset, std::uint32_t icmp_at, std::uint32_t end, std::uint32_t now_ms,
                   TokenBucket& bucket, Packet& packet);

}  // namespace anypop::l4lb
