// SPDX-License-Identifier: Apache-2.0
// What a worker does while no packet comes. Busy polling does nothing. Adaptive polling looks a few times more and then
// sleeps: in the kernel until a packet arrives, when every queue has a descriptor to wait for; else in short naps that
// grow. One worker's thread.
#pragma once

#include <chrono>
#include <vector>

#include <poll.h>

#include "base/config.h"

namespace anypop::dataplane {

// The heartbeat goes on while idle: no sleep is longer.
inline constexpr std::chrono::milliseconds kSleepMax{10};
// Without a descriptor to wait for, a packet may have to wait for the end of a nap, and waking up is what idling costs:
// on a virtual machine 2.4 % of a core at this length, 8.6 % at 200 us.
inline constexpr std::chrono::microseconds kNapMin{25};
inline constexpr std::chrono::microseconds kNapMax{500};
// Empty polls before the first sleep. A poll costs well below a microsecond, a sleep and a wake-up tens of them.
inline constexpr unsigned kEmptyPollsBeforeSleep = 64;

class IdleStrategy {
 public:
  // `wake_fds`: one per queue, -1 where the device has none.
  IdleStrategy(Polling polling, const std::vector<int>& wake_fds);

  void worked() {
    empty_polls_ = 0;
    nap_ = kNapMin;
  }
  // After an empty poll: is it time to sleep?
  bool tired() { return adaptive_ && ++empty_polls_ > kEmptyPollsBeforeSleep; }
  void sleep();

 private:
  void nap();

  bool adaptive_;
  bool can_wait_;
  std::vector<pollfd> fds_;
  unsigned empty_polls_ = 0;
  std::chrono::microseconds nap_ = kNapMin;
};

}  // namespace anypop::dataplane
