// SPDX-License-Identifier: Apache-2.0
// From the health of a service's backends to what the dataplane is told about each: used or not, and with how much of
// its weight. Pure; O(backends log backends). The announcements are decided by health alone, not by this.
//
//   draining        an operator's order: no new flows, those that are there stay
//   panic           less than panic_percent of the weight is healthy: every backend is used, since what is left would
//                   break under the load, and the probes may be wrong
//   kept            unhealthy, but used: no more than max_ejected_percent of the weight may be out, and those that
//                   failed first are
//   slow start      back again, from a failure or an operator's work: its weight grows in steps over slow_start_ms,
//                   from a tenth
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "healthmon/rise_fall.h"
#include "healthmon/time.h"

namespace anypop::healthmon {

// What is known of one backend.
struct BackendStanding {
  Health health = Health::kUnknown;
  bool drained = false;
  SteadyTime down_since;                 // while unhealthy
  std::optional<SteadyTime> back_since;  // healthy again, or undrained; nullopt: was never away
};

enum class UseReason { kHealth, kDraining, kPanic, kKept, kSlowStart };
std::string_view use_reason_name(UseReason reason);  // "health", "draining", "panic", "kept", "slow-start"

struct BackendUse {
  bool known = false;  // false: the dataplane is told nothing
  bool used = false;
  unsigned weight_permille = 1000;
  UseReason reason = UseReason::kHealth;
  friend bool operator==(const BackendUse&, const BackendUse&) = default;
};

struct ServicePlan {
  std::vector<BackendUse> backends;
  bool panic = false;
  SteadyTime next_change = SteadyTime::max();  // when time alone makes another plan
};

// `standings` by index in ServiceConfig::backends.
ServicePlan plan_backends(const ServiceConfig& service, const std::vector<BackendStanding>& standings, SteadyTime now);

}  // namespace anypop::healthmon
