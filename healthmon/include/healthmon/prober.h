// SPDX-License-Identifier: Apache-2.0
// All probes of a PoP, each on a schedule of its own, so that none delays another. One thread.
//
// The first probes start at once, a millisecond apart, the last of them within one interval. Afterwards the interval is
// measured from start to start and shortened by up to a tenth at random, so that probes with the same interval do not
// beat together. A probe that outlasts its interval delays its own successor only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/config.h"
#include "healthmon/monitor_core.h"

namespace anypop::healthmon {

// From `interval` to a tenth less. `random` is uniform over 64 bits. Pure.
std::chrono::microseconds jittered(Milliseconds interval, std::uint64_t random);

class Prober {
 public:
  // Takes a result and says how long after the start of that probe the next one starts.
  using Handler = std::function<Milliseconds(BackendId, const ProbeResult&)>;

  Prober(boost::asio::io_context& io, const PopConfig& config, std::uint64_t seed, Handler handler);
  ~Prober();  // the handler is not called any more
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

 private:
  class Loop;
  struct Shared;
  std::shared_ptr<Shared> shared_;
  std::vector<std::shared_ptr<Loop>> loops_;
};

}  // namespace anypop::healthmon
