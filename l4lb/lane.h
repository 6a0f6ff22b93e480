// SPDX-License-Identifier: Apache-2.0
// What the stages of the engine hand on to one another.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "flow.h"
#include "l4lb/pipeline.h"

namespace anypop::l4lb {

// Flows of one family, in the order of the burst. Arrays side by side, valid up to `count`; not initialized, because
// that would cost more than parsing does.
template <class F>
struct Lane {
  std::size_t count = 0;
  std::array<std::uint8_t, kBurstMax> packet;  // index in the burst
  std::array<Flow<F>, kBurstMax> flow;
  std::array<std::uint32_t, kBurstMax> home;  // in the service table
  std::array<std::uint16_t, kBurstMax> service;
  std::array<std::uint64_t, kBurstMax> hash;         // of the whole flow
  std::array<std::uint64_t, kBurstMax> slot_hash;    // only if Snapshot::hashes_sources: of what the service hashes
  std::array<const std::uint16_t*, kBurstMax> slot;  // the backend within the service
  std::array<std::uint16_t, kBurstMax> chosen;       // where slots of remembered flows point instead
  // Those that go into a tunnel, by their place in the lane.
  std::size_t tunneled_count = 0;
  std::array<std::uint8_t, kBurstMax> tunneled;
  std::array<std::uint32_t, kBurstMax> backend;  // in Snapshot::backends
};

// Whose burst this is, and when.
struct Worker {
  std::uint32_t now_ms;
  WorkerState& state;
};

}  // namespace anypop::l4lb
