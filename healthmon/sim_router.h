// SPDX-License-Identifier: Apache-2.0
// What the routers have: each of BIRD's exports reaches them after a delay, and goes with its session. And the judge of
// it, by what is true and not by what the monitor was told: how long a route is there while the PoP cannot serve, and
// how long one is missing that should be there.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bgpctl/level.h"
#include "healthmon/time.h"

namespace anypop::healthmon::sim {

using bgpctl::Level;

// One session's routes, by announcement.
class RouterModel {
 public:
  explicit RouterModel(std::size_t announcements) : routes_(announcements), sent_(announcements) {}

  // What BIRD exports now. Updates arrive in the order in which they were sent; a session that is lost takes
  // everything.
  void step(bool session_up, const std::vector<Level>& exported, Milliseconds delay, SteadyTime now) {
    if (!session_up) {
      if (session_up_) *this = RouterModel(routes_.size(), updates);
      return;
    }
    session_up_ = true;
    for (std::size_t i = 0; i < exported.size(); ++i) {
      if (exported[i] == sent_[i]) continue;
      sent_[i] = exported[i];
      last_arrival_ = std::max(last_arrival_, now + delay);
      on_the_way_.emplace(last_arrival_, std::pair(i, exported[i]));
    }
    while (!on_the_way_.empty() && on_the_way_.begin()->first <= now) {
      const auto& [i, level] = on_the_way_.begin()->second;
      routes_[i] = level;
      ++updates;
      on_the_way_.erase(on_the_way_.begin());
    }
  }
  Level level(std::size_t announcement) const { return routes_[announcement]; }

  std::uint64_t updates = 0;

 private:
  RouterModel(std::size_t announcements, std::uint64_t so_far) : RouterModel(announcements) { updates = so_far; }

  bool session_up_ = false;
  std::vector<Level> routes_;
  std::vector<Level> sent_;
  std::multimap<SteadyTime, std::pair<std::size_t, Level>> on_the_way_;
  SteadyTime last_arrival_;
};

// How long something has been wrong without an excuse.
class Overdue {
 public:
  void note(bool wrong, bool excused, SteadyTime now) {
    if (!wrong || excused) {
      since_.reset();
    } else if (!since_) {
      since_ = now;
    }
    if (since_) longest = std::max(longest, std::chrono::floor<Milliseconds>(now - *since_));
  }
  Milliseconds lasted(SteadyTime now) const {
    return since_ ? std::chrono::floor<Milliseconds>(now - *since_) : Milliseconds(0);
  }

  Milliseconds longest{0};

 private:
  std::optional<SteadyTime> since_;
};

}  // namespace anypop::healthmon::sim
