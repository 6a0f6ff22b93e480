// SPDX-License-Identifier: Apache-2.0
// What a worker remembers from burst to burst, beside its counters: flows, fragments, and how many ICMP answers it may
// still give. One per worker, made once; nothing in it grows.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/config.h"
#include "l4lb/flow_table.h"
#include "l4lb/fragment_table.h"

namespace anypop::l4lb {

// How RFC 4443 section 2.4 (f) and RFC 1812 section 4.3.2.8 have ICMP limited. Tokens come in at a steady rate, and at
// most a second's worth is saved up. One thread, the worker. Times are milliseconds of a clock that
// does not go back, modulo 2^32. A pause of weeks may pass for a short one; then the bucket only fills later.
class TokenBucket {
 public:
  explicit TokenBucket(std::uint32_t per_second) : per_second_(per_second), thousandths_(1000ULL * per_second) {}

  // One token, if there is one.
  bool take(std::uint32_t now_ms) {
    const std::uint64_t full = 1000ULL * per_second_;
    thousandths_ += std::uint64_t{now_ms - last_ms_} * per_second_;
    last_ms_ = now_ms;
    if (thousandths_ > full) thousandths_ = full;
    if (thousandths_ < 1000) return false;
    thousandths_ -= 1000;
    return true;
  }

 private:
  std::uint32_t per_second_;
  std::uint32_t last_ms_ = 0;
  std::uint64_t thousandths_;  // of a token
};

class WorkerState {
 public:
  // Flows in memory of its own.
  explicit WorkerState(const EngineConfig& config)
      : WorkerState(config, FlowMemory(FlowTable::bytes_for(config.flow_records))) {}
  // Flows in memory of the caller's.
  WorkerState(const EngineConfig& config, FlowTable table)
      : too_big(config.too_big_per_second),
        echo(config.echo_per_second),
        fragments(config.fragment_records),
        flows(std::move(table)) {}
  WorkerState(WorkerState&&) = default;
  WorkerState& operator=(WorkerState&&) = default;

  TokenBucket too_big;
  TokenBucket echo;
  FragmentTable fragments;
  FlowTable flows;
  // The tables of the other workers, read where a flow has no record here: a NIC may have steered it elsewhere before,
  // and ICMP errors and fragments go their own ways. Set before the first burst; they must outlive the last one.
  std::vector<const FlowTable*> peers;
  std::vector<const FragmentTable*> fragment_peers;  // the same, for later fragments whose first one went elsewhere

 private:
  WorkerState(const EngineConfig& config, FlowMemory memory)
      : WorkerState(config, FlowTable(memory.bytes(), config.flow_records, 0)) {
    memory_ = std::move(memory);
  }
  std::optional<FlowMemory> memory_;
};

}  // namespace anypop::l4lb
