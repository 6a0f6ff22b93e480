// SPDX-License-Identifier: Apache-2.0
// When which probe starts. Pure: a function of its seed and of what it is told. O(log probes) a call.
//
// The first starts are spread evenly over each probe's own fast interval, however many probes there are, so that
// thousands of them never begin together. Afterwards an interval is measured from planned start to planned start, and
// shortened by up to the jitter at random, so that probes with the same interval do not beat together. A probe that
// outlasts its interval delays its own successor only. After a stop of the whole process longer than an interval the
// starts are spread anew instead of being caught up with in one burst. Starts that lie close together are taken
// together, the later ones early: to sleep and wake for each costs more than many probes do themselves.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <queue>
#include <random>
#include <vector>

#include "healthmon/time.h"

namespace anypop::healthmon {

// How much too early a start may be, and never more than this share of its shortest interval.
inline constexpr SteadyTime::duration kTogether = std::chrono::milliseconds(2);
inline constexpr int kTogetherShare = 16;

// From `interval` to `percent` less. `random` is uniform over 64 bits.
std::chrono::microseconds jittered(Milliseconds interval, unsigned percent, std::uint64_t random);

class ProbeSchedule {
 public:
  explicit ProbeSchedule(std::uint64_t seed) : random_(seed) {}

  // A probe whose first start lies within `spread` from `now`; its index counts up from 0.
  std::size_t add(Milliseconds spread, unsigned jitter_percent, SteadyTime now);
  // When the next start is planned; SteadyTime::max(): none is.
  SteadyTime next() const { return planned_.empty() ? SteadyTime::max() : planned_.top().at; }

  struct Start {
    std::size_t probe = 0;
    SteadyTime::duration late{0};
  };
  // Takes out the next probe whose start has come or is so near that it may be early; false: there is none. It gets no
  // further start until finished().
  bool take(SteadyTime now, Start& start);
  // The probe is over; its next start lies `interval` after the last one, or now if that has passed.
  void finished(std::size_t probe, Milliseconds interval, SteadyTime now);
  // The probe told nothing: it starts again at once.
  void repeat(std::size_t probe, SteadyTime now);

 private:
  struct Planned {
    SteadyTime at;
    std::size_t probe;
    bool operator>(const Planned& other) const { return at != other.at ? at > other.at : probe > other.probe; }
  };
  struct Entry {
    Milliseconds spread;  // the shortest interval seen
    double phase;         // of its first start, in [0, 1)
    unsigned jitter_percent;
    SteadyTime started;  // as planned
  };
  SteadyTime::duration phase_of(const Entry& entry) const;
  bool may_start(const Planned& next, SteadyTime now) const;

  std::mt19937_64 random_;
  std::vector<Entry> entries_;
  std::priority_queue<Planned, std::vector<Planned>, std::greater<>> planned_;
};

}  // namespace anypop::healthmon
