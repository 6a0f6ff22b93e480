// SPDX-License-Identifier: Apache-2.0
// Tells systemd that a daemon is up and what it is doing, and feeds its watchdog while it works (sd_notify(3),
// sd_watchdog_enabled(3)). Without systemd it does nothing. The thread of the io_context.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/types.h>

namespace anypop {

class ServiceManager {
 public:
  // Has everything that must go round done so within this time?
  using Turning = std::function<bool(std::chrono::milliseconds)>;

  // Says that the daemon is ready. The destructor says that it stops, or, if this process has a successor, that systemd
  // should look to that one from now on.
  ServiceManager(boost::asio::io_context& io, Turning turning);
  ~ServiceManager();
  void has_successor(pid_t pid) { successor_ = pid; }
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  // One line for `systemctl status`, sent when it has changed.
  void say(std::string_view status);
  std::chrono::milliseconds watchdog() const { return watchdog_; }  // 0: nobody watches

 private:
  void feed();

  boost::asio::steady_timer timer_;
  Turning turning_;
  std::string said_;
  pid_t successor_ = 0;
  std::chrono::milliseconds watchdog_{0};  // 0: systemd does not watch
};

}  // namespace anypop
