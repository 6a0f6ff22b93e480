// SPDX-License-Identifier: Apache-2.0
// How much of a frame the engine looks at. For whoever has frames that were cut when they were captured: one that holds
// this much can be filled up to its length on the wire, and the engine decides as it would have about the whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "l4lb/snapshot.h"

namespace anypop::l4lb {

// From the start of `frame`, which must have its length on the wire, with anything for what is missing: to the end of
// the transport header, of what is looked at of a QUIC datagram if its service in `snapshot` cares (RFC 8999 section
// 5), or of the ports that an ICMP error quotes (RFC 792, RFC 4443 section 2.4 (c)). In bytes, at most frame.size(). If
// it is more than what is there, what is missing may matter. Pure, any thread, constant time.
std::uint32_t header_bytes(const Snapshot& snapshot, std::span<const std::byte> frame);

}  // namespace anypop::l4lb
