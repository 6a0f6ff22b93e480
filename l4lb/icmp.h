// SPDX-License-Identifier: Apache-2.0
// What an ICMP message to a VIP is about (RFC 792, 4443).
//
// An error quotes the packet that it complains of, which the backend sent from the VIP straight to its client. The flow
// of that packet, turned round, is the client's flow to the VIP: whoever has that one gets the message, and path MTU
// discovery works. On the Internet an error may come from a router nearer to another PoP, and then arrives there;
// nothing here can help that.
#pragma once

#include <cstdint>
#include <span>

#include "flow.h"
#include "parse.h"

namespace anypop::l4lb {

enum class IcmpKind : std::uint8_t { kOther, kEchoRequest, kError };

// With kError `flow` becomes the client's; before, it is what parse_ip() made of the message. An error that quotes
// nothing usable, or a packet that was not sent by the message's own destination, is kOther. Checksums are the
// backend's affair. Precondition: `found` is parse_ip()'s, with kDropIcmp.
template <class F>
IcmpKind parse_icmp(std::span<const std::byte> frame, const IpFinding& found, Flow<F>& flow);

// How much of such a message, from its own header on, parse_icmp() looks at. Precondition: as there.
template <class F>
std::uint32_t icmp_header_bytes(std::span<const std::byte> frame, const IpFinding& found);

}  // namespace anypop::l4lb
