// SPDX-License-Identifier: Apache-2.0
// RFC 2439's arithmetic once more, naively and beside the monitor: every fall with its time, summed up anew at each
// question. It outlives the monitors of the simulation, as what they write down must.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "healthmon/policy.h"

namespace anypop::healthmon::sim {

class FlapBook {
 public:
  explicit FlapBook(const AnnouncementConfig& announcement) : announcement_(announcement) {}

  // Somebody ended it all, or a reboot with a stepped clock made the ages unknown.
  void forget() {
    falls_.clear();
    latched_ = lost_ = may_be_latched_ = false;
    flaps_ = 0;
    known_ = true;
  }
  void make_unknown() { known_ = lost_ = latched_ = false; }

  // Whether it may be latched, and how long a hold-down may be: by the falls, and not by what the monitor says of
  // itself.
  bool may_be_latched(SteadyTime now) const {
    if (!known_) return true;
    return may_be_latched_ && (reuse() == 0 || penalty(now) > reuse() * 0.999);
  }
  Milliseconds longest_hold_down() const {
    return Milliseconds(std::max(announcement_.hold_down_ms, announcement_.flaps.hold_down_max_ms));
  }
  // A person keeps it up or down; what the monitor makes of it afterwards is no flap's business.
  void held() { lost_ = latched_ = false; }

  // After every decision.
  void judge(const Decision& decision, bgpctl::Level before, bgpctl::Level deserved, bool hold, SteadyTime now) {
    note_times(deserved, now);
    const Damping& damping = decision.memory.damping;
    if (!known_) {
      flaps_ = damping.flaps;
      if (damping.penalty == 0) forget();
      return;
    }
    const bool fell = decision.level < before;
    const bool counted = damping.flaps > flaps_;
    flaps_ = damping.flaps;
    EXPECT_TRUE(!counted || fell) << "a flap that nobody saw: " << decision.cause;
    EXPECT_TRUE(counted || !fell || hold) << "a fall that is no flap: " << decision.cause;
    if (counted) add(decision.level, now);
    if (hold) held();
    if (!may_be_latched(now)) may_be_latched_ = false;
    if (latched_ && reuse() > 0 && penalty(now) <= reuse() * 1.001) latched_ = false;
    if (decision.level > before && lost_ && !hold) judge_rise(decision.level, now, decision);
    // Adopted, if it was latched: somebody has changed the state file while no monitor ran.
    if (decision.level == bgpctl::Level::kAnnounced) lost_ = latched_ = false;
    EXPECT_NEAR(penalty_at(announcement_.flaps, damping, now), penalty(now), 2);
    falls += fell ? 1U : 0U;
    latches += latched_ && counted ? 1U : 0U;
  }

  unsigned falls = 0;
  unsigned latches = 0;

 private:
  double reuse() const { return announcement_.flaps.reuse_penalty; }
  double penalty(SteadyTime now) const {
    double sum = 0;
    for (const auto& [at, amount] : falls_) {
      sum += amount * std::exp2(-std::chrono::duration<double>(now - at).count() / announcement_.flaps.half_life_s);
    }
    return sum;
  }

  void note_times(bgpctl::Level deserved, SteadyTime now) {
    for (const bgpctl::Level level : {bgpctl::Level::kDrained, bgpctl::Level::kAnnounced}) {
      auto& since = good_since_[level == bgpctl::Level::kDrained ? 0 : 1];
      if (deserved < level) since = SteadyTime::max();
      if (deserved >= level && since == SteadyTime::max()) since = now;
    }
  }

  void add(bgpctl::Level level, SteadyTime now) {
    falls_.emplace_back(now, level == bgpctl::Level::kWithdrawn ? 1000.0 : 500.0);
    std::erase_if(falls_, [&](const auto& fall) {
      return now - fall.first > std::chrono::seconds(40 * announcement_.flaps.half_life_s);
    });
    const double sum = penalty(now);
    // The monitor writes thousandths down, so close to a step it may be on the other side of it.
    const double doublings = std::max(0.0, std::round((sum - 1) / 1000) - 1);
    const double most = std::max(announcement_.flaps.hold_down_max_ms, announcement_.hold_down_ms);
    hold_down_ms_ = std::min(announcement_.hold_down_ms * std::exp2(doublings), most);
    lost_ = true;
    const unsigned limit = announcement_.flaps.latch_penalty;
    if (limit != 0 && sum >= limit) latched_ = true;
    if (limit != 0 && sum >= limit * 0.999) may_be_latched_ = true;
  }

  void judge_rise(bgpctl::Level level, SteadyTime now, const Decision& decision) {
    EXPECT_FALSE(latched_) << "announced although latched: penalty " << penalty(now) << ": " << decision.cause;
    const SteadyTime since = good_since_[level == bgpctl::Level::kDrained ? 0 : 1];
    const double good_for_ms =
        since == SteadyTime::max() ? 0 : std::chrono::duration<double, std::milli>(now - since).count();
    EXPECT_GE(good_for_ms + 1, hold_down_ms_) << "announced before the hold-down was over: " << decision.cause;
  }

  const AnnouncementConfig& announcement_;
  std::vector<std::pair<SteadyTime, double>> falls_;
  SteadyTime good_since_[2] = {SteadyTime::max(), SteadyTime::max()};
  double hold_down_ms_ = 0;
  bool lost_ = false;  // by a fall, and not announced since
  bool latched_ = false;
  bool may_be_latched_ = false;
  bool known_ = true;
  std::uint64_t flaps_ = 0;
};

}  // namespace anypop::healthmon::sim
