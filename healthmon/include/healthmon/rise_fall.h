// SPDX-License-Identifier: Apache-2.0
// From single probe results to the health of a backend. A value; pure; O(1) a result.
//
// A backend starts unknown, which everybody must treat as unhealthy. `rise` successes in a row make it healthy, `fall`
// failures in a row unhealthy; that holds for the first verdict too, so that one lost probe after a restart of the
// monitor takes nothing out. Results that alternate would leave it unknown for ever, and with it the first full round:
// `rise + fall` results without a verdict are a verdict, unhealthy.
#pragma once

#include <string_view>

namespace anypop::healthmon {

enum class Health { kUnknown, kHealthy, kUnhealthy };
std::string_view health_name(Health health);  // "unknown", "healthy", "unhealthy"

struct RiseFallThresholds {
  unsigned rise = 2;  // at least 1
  unsigned fall = 3;  // at least 1
};

class RiseFall {
 public:
  explicit RiseFall(RiseFallThresholds thresholds) : thresholds_(thresholds) {}

  // Takes the next probe result; true when the health changed.
  bool add(bool success);

  // The failures of late do not count: it is healthy as before them, and is asked again, fast.
  void forgive() {
    health_ = Health::kHealthy;
    failures_ = successes_ = 0;
    asked_again_ = true;
  }

  // Other thresholds from now on; health and counts stay.
  void take_thresholds(const RiseFall& other) { thresholds_ = other.thresholds_; }

  Health health() const { return health_; }
  // A verdict may be near: nothing is known yet, or the last result spoke against the health. Probe faster.
  bool in_transition() const {
    return asked_again_ || health_ == Health::kUnknown ||
           (health_ == Health::kHealthy ? failures_ > 0 : successes_ > 0);
  }

 private:
  RiseFallThresholds thresholds_;
  Health health_ = Health::kUnknown;
  unsigned successes_ = 0;  // in a row
  unsigned failures_ = 0;   // in a row
  unsigned results_ = 0;    // while unknown
  bool asked_again_ = false;
};

}  // namespace anypop::healthmon
