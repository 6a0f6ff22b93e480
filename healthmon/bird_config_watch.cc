// SPDX-License-Identifier: Apache-2.0
#include "healthmon/bird_config_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "base/text.h"
#include "bgpctl/config_check.h"

namespace anypop::healthmon {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kInterval{10};
constexpr int kShare = 1000;

}  // namespace

class BirdConfigWatch::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, std::string socket_path, std::function<void(const boost::json::object&)> record)
      : check_(io, std::move(socket_path)), timer_(io), record_(std::move(record)) {}

  void ask() {
    const auto start = Clock::now();
    check_.ask([weak = weak_from_this(), start](const absl::Status& status) {
      if (const auto self = weak.lock()) self->on_answer(status, Clock::now() - start);
    });
  }
  void stop() { timer_.cancel(); }
  const std::string& error() const { return error_; }

 private:
  void on_answer(const absl::Status& status, Clock::duration took) {
    // That BIRD says nothing is the announcer's to report, and changes nothing of what is known.
    if (status.ok() || absl::IsInvalidArgument(status)) {
      const std::string error(message(status));
      if (error.empty() != error_.empty()) {
        record_({{"event", "bird-config"},
                 {"good", error.empty()},
                 {"cause", error.empty() ? "BIRD would take its configuration file again"
                                         : "BIRD goes on as it is, but a configure or a start fails: " + error}});
      }
      error_ = error;
    }
    timer_.expires_after(std::max<Clock::duration>(kInterval, took * kShare));
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code wait_error) {
      const auto self = weak.lock();
      if (!wait_error && self) self->ask();
    });
  }

  bgpctl::ConfigCheck check_;
  boost::asio::steady_timer timer_;
  std::function<void(const boost::json::object&)> record_;
  std::string error_;
};

BirdConfigWatch::BirdConfigWatch(boost::asio::io_context& io, std::string socket_path,
                                 std::function<void(const boost::json::object&)> record)
    : impl_(std::make_shared<Impl>(io, std::move(socket_path), std::move(record))) {
  impl_->ask();
}
BirdConfigWatch::~BirdConfigWatch() { impl_->stop(); }
const std::string& BirdConfigWatch::error() const { return impl_->error(); }

}  // namespace anypop::healthmon
