// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/service_manager.h"

#include <cstdint>
#include <utility>

#include <systemd/sd-daemon.h>

namespace anypop {

ServiceManager::ServiceManager(boost::asio::io_context& io, Turning turning)
    : timer_(io), turning_(std::move(turning)) {
  std::uint64_t watchdog_us = 0;
  if (::sd_watchdog_enabled(0, &watchdog_us) > 0) {
    watchdog_ = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::microseconds(watchdog_us));
  }
  ::sd_notify(0, "READY=1");
  if (watchdog_.count() > 0) feed();
}

ServiceManager::~ServiceManager() {
  if (successor_ != 0) {
    ::sd_notifyf(0, "MAINPID=%d", successor_);
  } else {
    ::sd_notify(0, "STOPPING=1");
  }
}

void ServiceManager::say(std::string_view status) {
  if (status == said_) return;
  said_ = status;
  ::sd_notify(0, ("STATUS=" + said_).c_str());
}

// Four times in its patience: one look that comes late is not yet a death.
void ServiceManager::feed() {
  if (turning_(watchdog_)) ::sd_notify(0, "WATCHDOG=1");
  timer_.expires_after(watchdog_ / 4);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) feed();
  });
}

}  // namespace anypop
