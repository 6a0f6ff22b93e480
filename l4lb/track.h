// SPDX-License-Identifier: Apache-2.0
// The stage between a flow's slot and its backend: a flow that a change of the backends would move, or did move, is
// looked up. Only run while there may be such flows.
//
// A packet whose QUIC connection ID has named its backend is none of it. Of the others, what decides, first match wins:
// "Open" means that the slot's window is (slot_history.h).
//   a record of a living backend         that backend. Not open, and the slot has the same owner: the record has done
//                                        its work and is dropped (track: changes)
//   open, and it opens no flow           the slot's previous owner, if it lives
//   else                                 the slot's owner
// If the record did not decide, the choice is recorded while the slot is open, or always (track: always). Packets that
// follow (Packet::follows) take the same way but are no evidence that a flow lives: they leave all records as they are.
#pragma once

#include <span>

#include "lane.h"
#include "snapshot_layout.h"

namespace anypop::l4lb {

// Must packets be looked up at all?
bool must_track(const Snapshot& snapshot, const WorkerState& state);

// Lets lane.slot of remembered flows point to their backend, and says so in Packet::chosen_by.
template <class F>
void track(const Snapshot& snapshot, std::span<Packet> packets, Worker& worker, Lane<F>& lane);

}  // namespace anypop::l4lb
