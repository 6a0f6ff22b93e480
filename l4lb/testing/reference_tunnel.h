// SPDX-License-Identifier: Apache-2.0
// Outer headers and ICMP errors of the reference engine: byte by byte, checksums over everything.
#pragma once

#include <cstdint>
#include <vector>

#include "base/config.h"
#include "l4lb/verdict.h"
#include "l4lb_testing/packet_builder.h"

namespace anypop::l4lb_testing {

using Bytes = std::vector<std::uint8_t>;

struct TunnelResult {
  l4lb::Verdict verdict = l4lb::Verdict::kForward;  // or kReplyTooBig, kDropTooBig
  Frame frame;                                      // MAC addresses are right in a reply only
};
// `ethernet`: with its tags; `inner`: the IP packet without padding.
TunnelResult reference_tunnel(const ServiceConfig& service, const IpAddress& backend, unsigned mtu, std::uint64_t hash,
                              const Frame& ethernet, const Bytes& inner);

// May its sender get an answer? `frame` begins with the Ethernet header.
bool may_answer(const Frame& frame, const Bytes& source);

// The reply to the echo request in the frame, with all checksums computed anew: of a request with a good one.
Frame reference_echo(Frame frame, std::size_t ip_at, std::size_t ip_bytes);

}  // namespace anypop::l4lb_testing
