// SPDX-License-Identifier: Apache-2.0
// Fragments: only the first one of a packet has the ports. What it says is remembered for a short while, and the later
// ones are given its ports, so that they take the same way as any packet of the flow.
//
// A packet's fragments may come to different workers: each may look into the others' tables. (Most NICs hash what is a
// fragment by addresses alone, so that they come to one.)
// A later fragment that overtakes its first one is dropped: keeping it would need memory that a flood could fill, and
// senders send the first one first.
#pragma once

#include <cstdint>

#include "flow.h"
#include "flow_hash.h"
#include "l4lb/fragment_table.h"

namespace anypop::l4lb {

// `flow` is the whole flow of a first fragment with this identification.
template <class F>
void remember_first(const FlowHash& hash, const Flow<F>& flow, std::uint32_t id, std::uint32_t now_ms,
                    FragmentTable& table);

// Gives `flow`, of which parse_ip() knows the addresses and in IPv4 the protocol, the rest. False: the first fragment
// is not known.
template <class F>
bool complete_later(const FlowHash& hash, std::uint32_t id, std::uint32_t now_ms, const FragmentTable& table,
                    Flow<F>& flow);

}  // namespace anypop::l4lb
