// SPDX-License-Identifier: Apache-2.0
// The load: new connections by a plan that no answer can delay (open loop), and long-lived connections beside them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "connection.h"
#include "record.h"

namespace anypop::loadgen {

struct Target {
  std::string name;
  boost::asio::ip::tcp::endpoint endpoint;
};

// "v4=198.51.100.1:80", "v6=[2001:db8:53::1]:80". InvalidArgument says what was found and expected.
absl::StatusOr<Target> parse_target(std::string_view text);

struct LoadOptions {
  std::vector<Target> targets;                   // taken in turn
  double rate_per_s = 200;                       // new connections, of all targets together; 0: none
  std::uint64_t long_connections = 0;            // spread over the targets in turn
  std::chrono::milliseconds long_interval{100};  // between two requests on one of them
  std::chrono::milliseconds timeout{500};        // of one request, connecting included
  std::chrono::milliseconds duration{10'000};
  std::uint64_t requests_max = 1'000'000;  // of both kinds
};

// One thread: everything runs on the io_context, between start() and idle().
class Load {
 public:
  using Sink = std::function<void(const Record&)>;

  Load(boost::asio::io_context& io, LoadOptions options, Sink sink);

  void start();
  void stop();  // nothing new from now on; what is under way is waited for

  bool idle() const { return pending_ == 0; }  // the plan is over and the last answer or timeout is in
  std::uint64_t requests() const { return requests_; }

 private:
  struct LongLived {
    std::size_t target = 0;
    std::shared_ptr<Connection> connection;
    std::unique_ptr<boost::asio::steady_timer> timer;
  };

  bool over() const;
  void arm(boost::asio::steady_timer& timer, std::chrono::steady_clock::time_point when, std::function<void()> due);
  void arm_plan();
  void launch_due();
  void launch_new(std::uint64_t number);
  void arm_long(LongLived& lived, std::chrono::steady_clock::time_point when);
  void request_long(LongLived& lived, std::chrono::steady_clock::time_point planned);
  std::int64_t unix_ns(std::chrono::steady_clock::time_point when) const;
  std::chrono::steady_clock::time_point planned_at(std::uint64_t number) const;
  std::shared_ptr<Connection> connect(std::size_t target);
  void send(const std::shared_ptr<Connection>& connection, Record record, bool last, std::function<void(bool)> done);

  boost::asio::io_context& io_;
  LoadOptions options_;
  Sink sink_;
  boost::asio::steady_timer plan_timer_;
  std::vector<LongLived> long_lived_;
  std::chrono::steady_clock::time_point began_;
  std::int64_t began_unix_ns_ = 0;
  std::uint64_t planned_ = 0;
  std::uint64_t pending_ = 0;  // timers armed and requests under way
  std::uint64_t requests_ = 0;
  std::uint64_t connections_ = 0;
  bool stopped_ = false;
};

}  // namespace anypop::loadgen
