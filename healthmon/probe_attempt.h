// SPDX-License-Identifier: Apache-2.0
// What every kind of probe has: one deadline, one result, and nothing left behind. Private to healthmon.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include "healthmon/probe.h"

namespace anypop::healthmon {

class ProbeAttempt : public std::enable_shared_from_this<ProbeAttempt> {
 public:
  ProbeAttempt(boost::asio::io_context& io, const ProbeTarget& target, Probe::Handler handler);
  virtual ~ProbeAttempt() = default;
  ProbeAttempt(const ProbeAttempt&) = delete;
  ProbeAttempt& operator=(const ProbeAttempt&) = delete;

  void start();
  void cancel();  // without a result

 protected:
  virtual void begin() = 0;  // must not finish() at once, but may finish_soon()
  virtual void close() = 0;  // lets go of everything; may be called twice

  bool over() const { return !handler_; }
  // The first result counts.
  void finish(ProbeResult result);
  void finish_soon(ProbeResult result);
  void fail(const boost::system::error_code& error) { finish(failure(error)); }
  static ProbeResult failure(const boost::system::error_code& error);
  ProbeResult failure_to_open(const boost::system::error_code& error) const;
  template <typename Derived>
  std::shared_ptr<Derived> self_as() {
    return std::static_pointer_cast<Derived>(shared_from_this());
  }

  boost::asio::io_context& io_;
  const ProbeTarget& target_;  // outlives the attempt's result
  std::string_view stage_ = "connecting";

 private:
  void on_deadline();

  Probe::Handler handler_;
  boost::asio::steady_timer deadline_;
  std::chrono::steady_clock::time_point started_;
};

std::shared_ptr<ProbeAttempt> stream_attempt(boost::asio::io_context& io, const ProbeTarget& target,
                                             Probe::Handler handler);  // tcp, http, https, grpc
std::shared_ptr<ProbeAttempt> dns_attempt(boost::asio::io_context& io, const ProbeTarget& target,
                                          Probe::Handler handler);
std::shared_ptr<ProbeAttempt> udp_attempt(boost::asio::io_context& io, const ProbeTarget& target,
                                          Probe::Handler handler);
std::shared_ptr<ProbeAttempt> exec_attempt(boost::asio::io_context& io, const ProbeTarget& target,
                                           Probe::Handler handler);

}  // namespace anypop::healthmon
