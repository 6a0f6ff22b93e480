// SPDX-License-Identifier: Apache-2.0
// Has the traffic left? Judged from a counter of packets, sampled now and then. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace anypop::bgpctl {

class QuietWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Quiet: at most `pps` packets a second on average over each sample of the last `length`.
  QuietWatch(double pps, std::chrono::milliseconds length) : limit_pps_(pps), length_(length) {}

  // `instance`: of the counter; another one counts from zero.
  void sample(const std::string& instance, std::uint64_t packets, Time now);
  // The counter could not be read: what was quiet before may not be now.
  void unknown();

  bool quiet(Time now) const { return quiet_since_ && now - *quiet_since_ >= length_; }
  std::optional<double> pps() const { return pps_; }  // of the last two samples; nullopt: not known

 private:
  struct Sample {
    std::string instance;
    std::uint64_t packets = 0;
    Time at;
  };
  double limit_pps_;
  std::chrono::milliseconds length_;
  std::optional<Sample> last_;
  std::optional<double> pps_;
  std::optional<Time> quiet_since_;
};

}  // namespace anypop::bgpctl
