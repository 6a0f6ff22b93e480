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

}  // namespace anypop::l4lb_testing
