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
constexpr int kShare = 1000;

// Only an answer tells how much work the question is.
bool is_answer(const absl::Status& status) {
  return status.ok() || absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status);
}

}  // namespace

class BirdConfigWatch::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, std::string socket_path, std::function<void(const boost::json::object&)> record,
       Pace pace)
      : check_(io, std::move(socket_path)), timer_(io), record_(std::move(record)), pace_(pace) {}

  void ask() {
    asking_ = true;
    again_ = false;
    const auto start = Clock::now();
    check_.ask([weak = weak_from_this(), start](const absl::Status& status) {
      if (const auto self = weak.lock()) self->on_answer(status, Clock::now() - start);
    });
  }
  void ask_now() {
    if (asking_) {
      again_ = true;
      return;
    }
    timer_.cancel();
    ask();
  }
  void stop() { timer_.cancel(); }
  const std::string& error() const { return error_; }

 private:
  void on_answer(const absl::Status& status, Clock::duration took) {
    asking_ = false;
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
    const Clock::duration wait = is_answer(status) ? std::clamp<Clock::duration>(took * kShare, pace_.interval, limit())
                                                   : Clock::duration(pace_.interval);
    timer_.expires_after(again_ ? Clock::duration(0) : wait);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code wait_error) {
      const auto self = weak.lock();
      if (!wait_error && self) self->ask();
    });
  }

  Clock::duration limit() const { return std::max(pace_.interval, pace_.longest); }

  bgpctl::ConfigCheck check_;
  boost::asio::steady_timer timer_;
  std::function<void(const boost::json::object&)> record_;
  const Pace pace_;
  bool asking_ = false;
  bool again_ = false;  // when this question is over
  std::string error_;
};

BirdConfigWatch::BirdConfigWatch(boost::asio::io_context& io, std::string socket_path,
                                 std::function<void(const boost::json::object&)> record, Pace pace)
    : impl_(std::make_shared<Impl>(io, std::move(socket_path), std::move(record), pace)) {
  impl_->ask();
}
BirdConfigWatch::~BirdConfigWatch() { impl_->stop(); }
void BirdConfigWatch::ask_now() { impl_->ask_now(); }
const std::string& BirdConfigWatch::error() const { return impl_->error(); }

}  // namespace anypop::healthmon
