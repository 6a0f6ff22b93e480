// SPDX-License-Identifier: Apache-2.0
#include "healthmon/dataplane_condition.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

// /v1/state is read every second; three lost answers mean that nobody knows the next hops.
constexpr auto kStateMaxAge = std::chrono::milliseconds(3500);

using Condition = DataplaneFacts::Condition;

}  // namespace

DataplaneCondition::DataplaneCondition(const MonitorConfig& config, SteadyTime start)
    : config_(config), heard_(start), state_read_(start) {}

SteadyTime DataplaneCondition::deadline() const {
  if (facts_.condition == Condition::kDead) return SteadyTime::max();
  const SteadyTime silent = std::max(heard_ + Milliseconds(config_.heartbeat_timeout_ms), restarted_by_);
  if (!facts_.next_hops_known || facts_.restarting) return silent;
  return std::min(silent, state_read_ + kStateMaxAge + Milliseconds(1));
}

void DataplaneCondition::dead(std::string cause) {
  facts_.condition = Condition::kDead;
  facts_.cause = std::move(cause);
  facts_.restarting = false;
  restarted_by_ = SteadyTime::min();
  works_since_ = SteadyTime::max();
}

void DataplaneCondition::on_heartbeat(const absl::StatusOr<dataplane_api::Heartbeat>& heartbeat, SteadyTime now) {
  if (!heartbeat.ok()) {
    const bool gone = absl::IsUnavailable(heartbeat.status()) || absl::IsPermissionDenied(heartbeat.status());
    if (gone && !restarting(now)) {
      return dead(fmt::format("the dataplane is gone: {}", message(heartbeat.status())));
    }
    silence_ = message(heartbeat.status());
    return;
  }
  if (heartbeat->workers.empty()) return dead("the dataplane has no workers");
  for (const dataplane_api::WorkerHeartbeat& worker : heartbeat->workers) {
    // Also false for what is not a number.
    if (worker.age_ms <= config_.heartbeat_timeout_ms) continue;
    return dead(fmt::format("worker {} of the dataplane stands still, {} ms allowed", worker.worker,
                            config_.heartbeat_timeout_ms));
  }
  heard_ = now;
  excused_ = false;
  silence_.clear();
  note_restart(heartbeat->planned_restart_ms, now);
  if (instance_ != heartbeat->instance) works_since_ = now;
  works_since_ = std::min(works_since_, now);
  instance_ = heartbeat->instance;
  generation_ = heartbeat->generation;
  facts_.condition = Condition::kAlive;
  facts_.cause.clear();
}

void DataplaneCondition::note_restart(std::uint64_t planned_ms, SteadyTime now) {
  // Its next hops could not be asked for meanwhile. They are as they were until the new process is asked, at once.
  if (facts_.restarting && planned_ms == 0) state_read_ = now;
  facts_.restarting = planned_ms > 0 && config_.restart_grace_ms > 0;
  const auto grace = std::min<std::uint64_t>(planned_ms, config_.restart_grace_ms);
  restarted_by_ = facts_.restarting ? now + Milliseconds(grace) : SteadyTime::min();
}

void DataplaneCondition::on_state(const absl::StatusOr<dataplane_api::State>& state, SteadyTime now) {
  state_asked_ = true;
  if (!state.ok()) return;
  state_instance_ = state->instance;
  state_generation_ = state->generation;
  state_read_ = now;
  facts_.next_hops_known = true;
}

void DataplaneCondition::on_time(SteadyTime now, SteadyTime::duration late_by) {
  state_read_ += late_by;
  if (now - state_read_ > kStateMaxAge && !restarting(now)) facts_.next_hops_known = false;
  // Not that of next hops which are too old, which is behind us.
  if (facts_.condition == Condition::kDead || now < deadline()) return;
  if (late_by > SteadyTime::duration(0) && !std::exchange(excused_, true)) {
    heard_ = now;
    return;
  }
  if (facts_.restarting) {
    return dead(fmt::format("the dataplane's planned restart took longer than {} ms",
                            std::chrono::duration_cast<Milliseconds>(restarted_by_ - heard_).count()));
  }
  dead(silence_.empty()
           ? fmt::format("the dataplane has not answered for {} ms", config_.heartbeat_timeout_ms)
           : fmt::format("the dataplane has not answered for {} ms: {}", config_.heartbeat_timeout_ms, silence_));
}

}  // namespace anypop::healthmon
