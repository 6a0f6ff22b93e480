// SPDX-License-Identifier: Apache-2.0
// Does a packet open a flow? Then nobody can miss a backend that it had before.
//   TCP  SYN without ACK, RST and FIN (RFC 9293 section 3.5)
//   UDP  a client's QUIC Initial (quic.h). Other UDP does not tell: it may be the middle of anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace anypop::l4lb {

// Precondition: parse_ip<F>() took the frame; a later fragment never opens a flow.
template <class F>
bool opens_flow(std::span<const std::byte> frame, std::uint32_t ip_offset);

}  // namespace anypop::l4lb
