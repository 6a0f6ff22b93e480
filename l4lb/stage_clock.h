// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "l4lb/pipeline.h"

namespace anypop::l4lb {

// Who measures the stages of a burst: nobody,
struct NoClock {
  void end_of(std::uint64_t StageTicks::*) {}
};

// or a benchmark.
class StageClock {
 public:
  StageClock(Ticks read, StageTicks& ticks) : read_(read), ticks_(ticks), last_(read()) {}
  void end_of(std::uint64_t StageTicks::*stage) {
    const std::uint64_t now = read_();
    ticks_.*stage += now - last_;
    last_ = now;
  }

 private:
  Ticks read_;
  StageTicks& ticks_;
  std::uint64_t last_;
};

}  // namespace anypop::l4lb
