// SPDX-License-Identifier: Apache-2.0
#include "healthmon/probe_schedule.h"

#include <algorithm>
#include <cmath>

namespace anypop::healthmon {
namespace {

// Multiples of the golden ratio, taken modulo 1, are evenly spread however many of them there are.
constexpr double kGoldenRatio = 0.618033988749894848;

}  // namespace

std::chrono::microseconds jittered(Milliseconds interval, unsigned percent, std::uint64_t random) {
  const std::chrono::microseconds longest = interval;
  const auto range = static_cast<std::uint64_t>(longest.count()) * percent / 100;
  return longest - std::chrono::microseconds(random % (range + 1));
}

SteadyTime::duration ProbeSchedule::phase_of(const Entry& entry) const {
  return std::chrono::duration_cast<SteadyTime::duration>(
      std::chrono::duration<double, std::milli>(entry.phase * static_cast<double>(entry.spread.count())));
}

std::size_t ProbeSchedule::add(Milliseconds spread, unsigned jitter_percent, SteadyTime now) {
  const std::size_t probe = entries_.size();
  const double phase = std::fmod(static_cast<double>(probe) * kGoldenRatio, 1.0);
  entries_.push_back({spread, phase, jitter_percent, now});
  planned_.push({now + phase_of(entries_.back()), probe});
  return probe;
}

bool ProbeSchedule::may_start(const Planned& next, SteadyTime now) const {
  return next.at <= now + std::min<SteadyTime::duration>(kTogether, entries_[next.probe].spread / kTogetherShare);
}

bool ProbeSchedule::take(SteadyTime now, Start& start) {
  while (!planned_.empty() && may_start(planned_.top(), now)) {
    const Planned next = planned_.top();
    planned_.pop();
    Entry& entry = entries_[next.probe];
    if (now - next.at > std::max<SteadyTime::duration>(entry.spread, std::chrono::milliseconds(100))) {
      planned_.push({now + phase_of(entry), next.probe});
      continue;
    }
    entry.started = next.at;
    start = {next.probe, std::max(now - next.at, SteadyTime::duration::zero())};
    return true;
  }
  return false;
}

void ProbeSchedule::finished(std::size_t probe, Milliseconds interval, SteadyTime now) {
  const Entry& entry = entries_[probe];
  planned_.push({std::max(now, entry.started + jittered(interval, entry.jitter_percent, random_())), probe});
}

void ProbeSchedule::repeat(std::size_t probe, SteadyTime now) { planned_.push({now, probe}); }

}  // namespace anypop::healthmon
