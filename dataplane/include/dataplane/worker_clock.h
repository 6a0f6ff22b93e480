// SPDX-License-Identifier: Apache-2.0
// A worker's clock: milliseconds of CLOCK_MONOTONIC, without asking the kernel for each burst. Between two readings of
// that clock the processor's counter (TSC) goes on from the last one. A reading a second, because what is known of the
// counter's frequency may be wrong by a tenth of a percent, which is minutes a day. So all workers, and the next
// process, mean the same time, within a few milliseconds. Pure; one thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace anypop::dataplane {

class WorkerClock {
 public:
  // `tsc_hz`: about how fast the counter is. `tsc`, `monotonic_ns`: both clocks now.
  WorkerClock(std::uint64_t tsc_hz, std::uint64_t tsc, std::uint64_t monotonic_ns)
      : tsc_hz_(tsc_hz), tsc_per_ms_(std::max<std::uint64_t>(tsc_hz / 1000, 1)) {
    set(tsc, monotonic_ns);
  }

  // Never less than before. `read_monotonic_ns` is called about once a second, and after a counter that went back.
  template <class ReadNs>
  std::uint64_t now_ms(std::uint64_t tsc, ReadNs read_monotonic_ns) {
    if (tsc - set_at_tsc_ >= tsc_hz_) [[unlikely]]
      set(tsc, read_monotonic_ns());
    last_ms_ = std::max(last_ms_, start_ms_ + (tsc - start_tsc_) / tsc_per_ms_);
    return last_ms_;
  }

  std::uint64_t tsc_hz() const { return tsc_hz_; }

 private:
  void set(std::uint64_t tsc, std::uint64_t monotonic_ns) {
    set_at_tsc_ = tsc;
    start_ms_ = monotonic_ns / kNsPerMs;
    // Where the millisecond began, so that workers' milliseconds begin together.
    start_tsc_ = tsc - monotonic_ns % kNsPerMs * tsc_per_ms_ / kNsPerMs;
  }

  static constexpr std::uint64_t kNsPerMs = 1'000'000;
  std::uint64_t tsc_hz_;
  std::uint64_t tsc_per_ms_;
  std::uint64_t set_at_tsc_ = 0;
  std::uint64_t start_tsc_ = 0;
  std::uint64_t start_ms_ = 0;
  std::uint64_t last_ms_ = 0;
};

}  // namespace anypop::dataplane
