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
//
// The end of a flow. Only the client's side is seen, and anybody can send a FIN or RST in its name, so neither takes
// the record away: its last packets, and their repetitions, must still find the backend. A FIN makes the record one of
// a flow that closes: from then on it outlives a silence of kClosingMs only, twice the longest life of a segment (RFC
// 9293 section 3.4.1), and a SYN begins a new flow in its place. A RST makes it expire as early, but the next other
// packet shows that it was not genuine and takes that back. A flow that goes on after either can so be silent for as
// long as one without a record can around a change.
#pragma once

#include <cstdint>

#include "lane.h"
#include "snapshot_layout.h"

namespace anypop::l4lb {

inline constexpr std::uint32_t kClosingMs = 120'000;

// Which packets are looked up?
enum class Lookup : std::uint8_t {
  kNothing,
  kSome,  // as their services and slots want it
  kAll,   // Snapshot::always: a lane needs no slots beforehand, because nearly no packet asks for its own
};
Lookup lookup_of(const Snapshot& snapshot, const WorkerState& state);

// Lookup::kSome. Asks the cache for everything that says whether there is something to look up, for the flows of the
// lane from lane.settled on.
template <class F>
void find_candidates(const Snapshot& snapshot, const FlowTable& flows, Lane<F>& lane);
// Lets lane.slot of remembered flows point to their backend, and says so in Packet::chosen_by.
template <class F>
void track(const Snapshot& snapshot, Worker& worker, Lane<F>& lane);

// Lookup::kAll. The key of a flow; its bucket is to be asked for beforehand.
inline std::uint64_t record_key(const ServiceTracking& service, std::uint64_t hash) { return hash ^ service.salt; }
// Sets lane.chosen of all flows, and Packet::chosen_by.
template <class F>
void track_all(const Snapshot& snapshot, Worker& worker, Lane<F>& lane);

}  // namespace anypop::l4lb
