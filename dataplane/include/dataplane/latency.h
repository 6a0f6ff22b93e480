// SPDX-License-Identifier: Apache-2.0
// How long a burst takes from being received to being sent, for one of every kLatencySampleBursts bursts: what a packet
// waits inside the dataplane. Buckets of powers of two of the time stamp counter. One writer; any thread may read.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace anypop::dataplane {

inline constexpr unsigned kLatencySampleBursts = 64;

class LatencyHistogram {
 public:
  static constexpr std::size_t kBuckets = 40;  // bucket n: less than 2^n ticks

  bool wants_burst() { return ++bursts_ % kLatencySampleBursts == 0; }
  void count(std::uint64_t ticks) {
    auto& bucket = buckets_[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(ticks)), kBuckets - 1)];
    bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  std::uint64_t bucket(std::size_t index) const { return buckets_[index].load(std::memory_order_relaxed); }

 private:
  std::uint64_t bursts_ = 0;
  std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
};

}  // namespace anypop::dataplane
