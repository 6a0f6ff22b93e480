// SPDX-License-Identifier: Apache-2.0
// Tells systemd that the dataplane is up, and feeds its watchdog while every worker turns (sd_notify(3),
// sd_watchdog_enabled(3)). Without systemd it does nothing. Control thread.
#pragma once

#include <chrono>
#include <functional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace anypop::dataplane {

class ServiceManager {
 public:
  // `turning`: have all workers been round within this time?
  using Turning = std::function<bool(std::chrono::milliseconds)>;

  // Says that the dataplane is ready. The destructor says that it stops.
  ServiceManager(boost::asio::io_context& io, Turning turning);
  ~ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

 private:
  void feed();

  boost::asio::steady_timer timer_;
  Turning turning_;
  std::chrono::milliseconds watchdog_{0};  // 0: systemd does not watch
};

}  // namespace anypop::dataplane
