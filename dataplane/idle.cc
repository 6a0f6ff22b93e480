// SPDX-License-Identifier: Apache-2.0
#include "dataplane/idle.h"

#include <algorithm>
#include <ctime>

namespace anypop::dataplane {

IdleStrategy::IdleStrategy(Polling polling, const std::vector<int>& wake_fds)
    : adaptive_(polling == Polling::kAdaptive),
      can_wait_(!wake_fds.empty() && std::all_of(wake_fds.begin(), wake_fds.end(), [](int fd) { return fd >= 0; })) {
  for (const int fd : wake_fds) fds_.push_back({fd, POLLIN, 0});
}

void IdleStrategy::sleep() {
  if (can_wait_) {
    const int ready = ::poll(fds_.data(), fds_.size(), static_cast<int>(kSleepMax.count()));
    const bool quiet = ready == 0;
    const bool packets = ready > 0 && std::all_of(fds_.begin(), fds_.end(),
                                                  [](const pollfd& fd) { return (fd.revents & ~POLLIN) == 0; });
    if (quiet || packets) return;
    // An interface that is gone or down makes poll() return at once, again and again.
  }
  nap();
}

void IdleStrategy::nap() {
  const timespec duration{0, std::chrono::nanoseconds(nap_).count()};
  ::nanosleep(&duration, nullptr);
  nap_ = std::min(2 * nap_, kNapMax);
}

}  // namespace anypop::dataplane
