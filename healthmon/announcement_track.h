// SPDX-License-Identifier: Apache-2.0
// One announcement through time: its hold, its decision, what was found of it in BIRD, and the commands under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "healthmon/monitor_core.h"
#include "healthmon/reconcile.h"

namespace anypop::healthmon {

class AnnouncementTrack {
 public:
  AnnouncementTrack(const PopConfig& config, std::size_t index, const absl::StatusOr<bgpctl::Level>& state_file,
                    const Damping& damping);

  // Its place in the configuration is another one, or the configuration says something else about it.
  void move_to(std::size_t index);

  // A hold that cannot be read leaves the order that was known in force.
  void on_hold(const absl::StatusOr<std::optional<bgpctl::Hold>>& hold, Now now, Actions& actions);
  // nullopt: BIRD did not tell.
  void on_found(const std::optional<bgpctl::AnnouncementStanding>& standing,
                const absl::StatusOr<bgpctl::Level>& state_file, Now now);
  void on_set(bgpctl::Level level, const bgpctl::SetResult& result, const absl::StatusOr<bgpctl::Level>& state_file,
              Now now, Actions& actions);

  // Somebody ended the hold-down and the latch.
  void forgive(Actions& actions);

  // Decides, and brings what is to what is decided.
  void act(const Facts& facts, Now now, Actions& actions);

  const Decision& decision() const { return decision_; }
  SteadyTime wake() const;  // when time alone changes something: a hold-down ends, a command is tried again
  // A command has just been carried out and the table does not show it yet: look again soon.
  bool settling(SteadyTime now) const { return unsettled_ && now < settle_until_; }
  boost::json::object json(Now now) const;

 private:
  void decide_level(const Facts& facts, Now now, Actions& actions);
  std::string waits_for(const Facts& facts) const;
  void record_decision(const Decision& before, Now now, Actions& actions);
  void reconcile_level(Now now, Actions& actions);
  void report_problem(const std::optional<std::string>& problem, Now now, Actions& actions);
  void send(Actions& actions);
  const AnnouncementConfig& announcement() const { return config_.announcements[index_]; }

  const PopConfig& config_;
  std::size_t index_;
  std::optional<bgpctl::Hold> hold_;
  bool hold_known_ = false;
  std::string hold_error_;
  Decision decision_;

  Found found_;
  bool confirmed_;  // the intended level was in place once, so that a difference is somebody else's doing
  bool unsettled_ = false;
  SteadyTime settle_until_;
  unsigned pending_ = 0;  // commands without an answer
  bgpctl::Level last_sent_ = bgpctl::Level::kWithdrawn;
  SteadyTime retry_at_;
  SteadyTime hold_down_until_ = SteadyTime::max();
  std::optional<std::pair<bgpctl::Level, std::string>>
      recorded_;  // level and error of the last command in the event log
  std::optional<std::string> problem_;
  SteadyTime problem_since_;
  bool problem_recorded_ = false;
  bool saved_ = true;         // the damping is what SaveDamping said last, or what the file said at the start
  std::uint64_t drifts_ = 0;  // differences that nobody here intended, since the start
  std::int64_t last_drift_unix_ms_ = 0;
  std::string last_drift_;
  std::optional<bool> others_;  // as the last decision saw it
};

}  // namespace anypop::healthmon
