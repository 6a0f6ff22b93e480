// SPDX-License-Identifier: Apache-2.0
#include "healthmon/traffic_history.h"

#include <chrono>

namespace anypop::healthmon {

void TrafficHistory::point(Series& series, std::uint64_t counter, std::optional<double> elapsed_s) {
  if (elapsed_s && counter >= series.counter) {
    series.per_s.push_back(static_cast<double>(counter - series.counter) / *elapsed_s);
    if (series.per_s.size() > kPoints) series.per_s.pop_front();
  }
  series.counter = counter;
}

void TrafficHistory::add(const dataplane_api::Stats& stats, SteadyTime now) {
  std::optional<double> elapsed_s;
  if (last_ && instance_ == stats.instance && now > *last_) {
    elapsed_s = std::chrono::duration<double>(now - *last_).count();
  }
  for (const dataplane_api::ServiceStats& service : stats.services) {
    std::uint64_t packets = 0;
    for (const dataplane_api::BackendStats& backend : service.backends) packets += backend.packets;
    point(services_[service.name], packets, elapsed_s);
  }
  std::uint64_t forwarded = 0;
  std::uint64_t dropped = 0;
  for (const dataplane_api::VerdictCount& count : stats.verdicts) {
    point(verdicts_[count.verdict], count.packets, elapsed_s);
    if (count.verdict.starts_with("forward")) forwarded += count.packets;
    if (count.verdict.starts_with("drop")) dropped += count.packets;
  }
  point(forwarded_, forwarded, elapsed_s);
  point(dropped_, dropped, elapsed_s);
  instance_ = stats.instance;
  last_ = now;
}

}  // namespace anypop::healthmon
