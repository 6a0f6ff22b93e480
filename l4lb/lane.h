// SPDX-License-Identifier: Apache-2.0
// What the stages of the engine hand on to one another.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "flow.h"
#include "l4lb/pipeline.h"
#include "service_table.h"

namespace anypop::l4lb {

// The flows of a lane that may have a record, or shall get one: track.h. Arrays side by side, valid up to `count`.
struct Candidates {
  std::size_t count = 0;
  bool all_eager = true;                   // ServiceTracking::eager
  std::array<std::uint8_t, kBurstMax> at;  // in the lane
  std::array<std::uint64_t, kBurstMax> key;
  std::array<const std::uint16_t*, kBurstMax>
      previous;  // of the slot; to what says that it has no window if it has none
};

// Flows of one family, in the order of the burst. Arrays side by side, valid up to `count`; not initialized, because
// that would cost more than parsing does.
template <class F>
struct Lane {
  std::size_t count = 0;
  std::size_t settled = 0;  // of these, those that have a slot
  std::array<Packet*, kBurstMax> packet;
  std::array<Flow<F>, kBurstMax> flow;
  std::array<PackedKey<F>, kBurstMax> key;  // of the service
  std::array<const typename ServiceTable<F>::Entry*, kBurstMax> home;
  // If flows are looked up: the flags of a TCP segment that flow_sign.h wants to know; of UDP that surely opens no flow
  // kTcpAck; else kUnknownFlags.
  std::array<std::uint8_t, kBurstMax> tcp_flags;
  std::array<std::uint16_t, kBurstMax> service;
  std::array<std::uint64_t, kBurstMax> hash;         // of the whole flow
  std::array<std::uint64_t, kBurstMax> slot_hash;    // only if Snapshot::hashes_sources: of what the service hashes
  std::array<const std::uint16_t*, kBurstMax> slot;  // the backend within the service
  std::array<std::uint16_t, kBurstMax> chosen;       // the backend of flows that were looked up
  Candidates candidates;
};

// Whose burst this is, and when.
struct Worker {
  std::uint32_t now_ms;
  WorkerState& state;
};

}  // namespace anypop::l4lb
