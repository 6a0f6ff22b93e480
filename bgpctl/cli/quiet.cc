// SPDX-License-Identifier: Apache-2.0
#include "quiet.h"

#include <utility>

namespace anypop::bgpctl {

void QuietWatch::unknown() {
  last_.reset();
  pps_.reset();
  quiet_since_.reset();
}

void QuietWatch::sample(const std::string& instance, std::uint64_t packets, Time now) {
  const std::optional<Sample> before = std::exchange(last_, Sample{instance, packets, now});
  if (!before || before->instance != instance || packets < before->packets || now <= before->at) {
    pps_.reset();
    quiet_since_.reset();
    return;
  }
  pps_ = static_cast<double>(packets - before->packets) / std::chrono::duration<double>(now - before->at).count();
  if (*pps_ > limit_pps_) {
    quiet_since_.reset();
  } else if (!quiet_since_) {
    quiet_since_ = before->at;
  }
}

}  // namespace anypop::bgpctl
