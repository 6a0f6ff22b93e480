// SPDX-License-Identifier: Apache-2.0
// How much of a frame the engine looks at. For whoever has frames that were cut when they were captured: one that holds
// this much can be filled up to its length on the wire, and the engine decides as it would have about the whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace anypop::l4lb {

// From the start of `frame`, which must have its length on the wire: to the end of the transport header, of what UDP
// carries to that of a QUIC connection ID, or to the end of what an ICMP message quotes. At most frame.size(). Pure,
// any thread, constant time.
std::uint32_t header_bytes(std::span<const std::byte> frame);

}  // namespace anypop::l4lb
