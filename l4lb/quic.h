// SPDX-License-Identifier: Apache-2.0
// What a balancer may read of a QUIC datagram: the version-independent properties (RFC 8999), and for the versions that
// are known (1: RFC 9000; 2: RFC 9369; drafts of version 1) whether it opens a connection. Everything else is
// encrypted, and changes with the version. Only the first packet of a datagram is looked at: all of them have the same
// destination connection ID (RFC 9000 section 12.2).
//
// Reads nothing outside the span; keeps nothing. Constant time.
#pragma once

#include <cstddef>
#include <span>

namespace anypop::l4lb {

// A client's Initials come in datagrams of at least this many bytes; servers drop smaller ones (RFC 9000 section 14.1).
inline constexpr std::size_t kQuicInitialBytes = 1200;

// Nothing behind this many bytes of a datagram is looked at, except for its length.
inline constexpr std::size_t kQuicHeaderBytes = 26;

// May this UDP payload open a QUIC connection? True also for the Initials that a client sends later in its handshake.
// False for versions that are not known: their connections begin with a version negotiation, which keeps no state.
bool is_quic_initial(std::span<const std::byte> datagram);

// The destination connection ID. A short header does not say how long it is: then all that may belong to it, at most
// 20 bytes. Empty where there is none, or where it is cut.
std::span<const std::byte> quic_destination_id(std::span<const std::byte> datagram);

}  // namespace anypop::l4lb
