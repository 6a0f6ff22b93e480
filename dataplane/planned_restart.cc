// SPDX-License-Identifier: Apache-2.0
#include "dataplane/planned_restart.h"

#include <algorithm>
#include <utility>

namespace anypop::dataplane {
namespace {

constexpr std::chrono::milliseconds kWaitMax{5000};  // less than an init system's patience

}  // namespace

PlannedRestart::PlannedRestart(boost::asio::io_context& io, const MonitorConfig& monitor, std::function<void()> leave)
    : grace_ms_(monitor.restart_grace_ms),
      heard_after_(std::min(kWaitMax, std::chrono::milliseconds(3ULL * monitor.heartbeat_interval_ms))),
      leave_(std::move(leave)),
      timer_(io) {}

void PlannedRestart::begin() {
  if (std::exchange(begun_, true)) return;
  timer_.expires_after(grace_ms_ > 0 ? heard_after_ : std::chrono::milliseconds(0));
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) leave_();
  });
}

}  // namespace anypop::dataplane
