// SPDX-License-Identifier: Apache-2.0
// The first stage: frames are parsed, and those that are whole flows enter the lane of their family. All others get
// their verdict.
#pragma once

#include <cstddef>
#include <span>

#include "lane.h"
#include "snapshot_layout.h"

namespace anypop::l4lb {

// `packets` begin what is left of a burst, `in_burst` packets, whose headers are asked for too. What enters says that
// its slot will choose the backend.
void enter_lanes(const Snapshot& snapshot, std::span<Packet> packets, std::size_t in_burst, Worker& worker,
                 Lane<V4>& v4, Lane<V6>& v6);
// The same, but `chosen_by` will; and sets Lane::tcp_flags.
void enter_lanes_with_flags(const Snapshot& snapshot, std::span<Packet> packets, std::size_t in_burst,
                            ChosenBy chosen_by, Worker& worker, Lane<V4>& v4, Lane<V6>& v6);

}  // namespace anypop::l4lb
