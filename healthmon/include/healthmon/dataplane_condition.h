// SPDX-License-Identifier: Apache-2.0
// Is the dataplane forwarding? Judged from its heartbeats and their absence. Pure.
//
// Dead at once: the socket is closed and nobody serves it; a worker's last pass is older than heartbeat_timeout_ms.
// Dead by silence: no heartbeat for heartbeat_timeout_ms. When this process itself did not run (stopped, starved), the
// silence is its own: the dataplane gets that time once more, once.
//
// A dataplane that has announced a planned restart in its last heartbeat may be silent, and gone, for as long as it
// said there, restart_grace_ms at most: a level with a deadline. Then it is dead like any other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <absl/status/statusor.h>

#include "base/config.h"
#include "dataplane_api/messages.h"
#include "healthmon/policy.h"
#include "healthmon/time.h"

namespace anypop::healthmon {

class DataplaneCondition {
 public:
  DataplaneCondition(const MonitorConfig& config, SteadyTime start);

  // Other thresholds from now on.
  void configure(const MonitorConfig& config) { config_ = config; }

  // The answer to one question. Unavailable and PermissionDenied: nobody is there, after one new connection was tried.
  // Other errors are silence.
  void on_heartbeat(const absl::StatusOr<dataplane_api::Heartbeat>& heartbeat, SteadyTime now);
  // GET /v1/state was answered, or not.
  void on_state(const absl::StatusOr<dataplane_api::State>& state, SteadyTime now);
  // To be called when `deadline()` has passed, and before any other event. `late_by`: for how long this process was
  // kept from running.
  void on_time(SteadyTime now, SteadyTime::duration late_by);

  const DataplaneFacts& facts() const { return facts_; }
  SteadyTime deadline() const;  // when silence will be death, or next hops too old to be known
  // The same process has been heard, and at no restart, from `start` until now: whatever was sent through it then found
  // it at work, as far as anybody can know.
  bool worked_since(SteadyTime start) const {
    return facts_.condition == DataplaneFacts::Condition::kAlive && !facts_.restarting && silence_.empty() &&
           works_since_ <= start;
  }
  // The state read last belongs to the heartbeat seen last. False: read it again.
  bool state_is_current() const {
    return state_asked_ && instance_ == state_instance_ && generation_ <= state_generation_;
  }
  bool state_asked() const { return state_asked_; }  // at least once, with whatever success

 private:
  void dead(std::string cause);
  void note_restart(std::uint64_t planned_ms, SteadyTime now);
  bool restarting(SteadyTime now) const { return now < restarted_by_; }

  MonitorConfig config_;
  DataplaneFacts facts_;
  SteadyTime works_since_ = SteadyTime::max();   // its first heartbeat, when it is alive
  SteadyTime heard_;                             // last fresh heartbeat, at first the start
  bool excused_ = false;                         // since then
  SteadyTime restarted_by_ = SteadyTime::min();  // the planned restart that was announced is over
  std::string silence_;  // what the last question came to instead of a heartbeat; empty: nothing came
  std::string instance_;
  std::uint64_t generation_ = 0;
  bool state_asked_ = false;
  std::string state_instance_;
  std::uint64_t state_generation_ = 0;
  SteadyTime state_read_;
};

}  // namespace anypop::healthmon
