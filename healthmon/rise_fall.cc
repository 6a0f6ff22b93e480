// SPDX-License-Identifier: Apache-2.0
#include "healthmon/rise_fall.h"

namespace anypop::healthmon {

std::string_view health_name(Health health) {
  switch (health) {
    case Health::kUnknown: return "unknown";
    case Health::kHealthy: return "healthy";
    case Health::kUnhealthy: break;
  }
  return "unhealthy";
}

bool RiseFall::add(bool success) {
  successes_ = success ? successes_ + 1 : 0;
  failures_ = success ? 0 : failures_ + 1;
  asked_again_ = false;
  const Health before = health_;
  if (successes_ >= thresholds_.rise) {
    health_ = Health::kHealthy;
  } else if (failures_ >= thresholds_.fall) {
    health_ = Health::kUnhealthy;
  } else if (health_ == Health::kUnknown && ++results_ >= thresholds_.rise + thresholds_.fall) {
    health_ = Health::kUnhealthy;
  }
  return health_ != before;
}

}  // namespace anypop::healthmon
