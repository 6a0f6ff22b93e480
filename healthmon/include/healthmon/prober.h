// SPDX-License-Identifier: Apache-2.0
// All probes of a PoP, each on a schedule of its own, so that none delays another: ProbeSchedule says when, Probe does
// it. One thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include <absl/status/status.h>
#include <boost/asio/io_context.hpp>

#include "base/config.h"
#include "healthmon/monitor_core.h"

namespace anypop::healthmon {

// How late probes started, since the start. Bounds in seconds: kStartDelayBounds, and beyond.
inline constexpr std::array<double, 7> kStartDelayBounds = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1};
struct StartDelays {
  std::array<std::uint64_t, kStartDelayBounds.size() + 1> counts{};
  double sum_s = 0;
};

// What the probes need and a configuration cannot promise: certificates, programs. The error names file and probe.
absl::Status check_probe_files(const PopConfig& config);

class Prober {
 public:
  // Takes a result and says how long after the start of that probe the next one starts.
  using Handler = std::function<Milliseconds(ProbeId, const ProbeResult&)>;

  // A probe whose files are gone since check_probe_files() fails each time and says why.
  Prober(boost::asio::io_context& io, const PopConfig& config, std::uint64_t seed, Handler handler);
  ~Prober();  // the handler is not called any more
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  const StartDelays& start_delays() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace anypop::healthmon
