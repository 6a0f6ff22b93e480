// SPDX-License-Identifier: Apache-2.0
// A restart that somebody wants (SIGUSR1, `systemctl restart`). The process goes on forwarding and says in each
// heartbeat for how long it may be silent afterwards; when the monitor must have heard it, it leaves. The monitor then
// keeps the announcements for that long (MonitorConfig::restart_grace_ms) and no longer. A stop (SIGTERM) says nothing,
// so the monitor withdraws at once. Control thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/config.h"

namespace anypop::dataplane {

class PlannedRestart {
 public:
  PlannedRestart(boost::asio::io_context& io, const MonitorConfig& monitor, std::function<void()> leave);

  // A second call changes nothing.
  void begin();
  // For Heartbeat::planned_restart_ms. 0: none is planned.
  std::uint64_t announced_ms() const { return begun_ ? grace_ms_ : 0; }

 private:
  std::uint64_t grace_ms_;
  std::chrono::milliseconds heard_after_;  // three questions of the monitor
  std::function<void()> leave_;
  boost::asio::steady_timer timer_;
  bool begun_ = false;
};

}  // namespace anypop::dataplane
