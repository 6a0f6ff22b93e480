// SPDX-License-Identifier: Apache-2.0
#include "load.h"

#include <algorithm>
#include <utility>

#include <boost/asio/ip/address.hpp>

#include "base/text.h"

namespace anypop::loadgen {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t now_unix_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

absl::StatusOr<Target> parse_target(std::string_view text) {
  const auto wrong = [&] {
    return invalid_argument(
        "--target: found '{}', expected NAME=ADDRESS:PORT such as v4=198.51.100.1:80 or "
        "v6=[2001:db8:53::1]:80",
        escaped(text));
  };
  const std::size_t equals = text.find('=');
  const std::size_t colon = text.rfind(':');
  if (equals == std::string_view::npos || equals == 0 || colon == std::string_view::npos || colon < equals) {
    return wrong();
  }
  std::string_view host = text.substr(equals + 1, colon - equals - 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(host), error);
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1), 1, 65535);
  if (error || address.is_v6() != bracketed || !port) return wrong();
  return Target{std::string(text.substr(0, equals)), {address, *port}};
}

Load::Load(boost::asio::io_context& io, LoadOptions options, Sink sink)
    : io_(io), options_(std::move(options)), sink_(std::move(sink)), plan_timer_(io) {}

void Load::start() {
  began_ = Clock::now();
  began_unix_ns_ = now_unix_ns();
  if (options_.rate_per_s > 0) arm_plan();
  long_lived_.resize(options_.long_connections);
  for (std::size_t i = 0; i < long_lived_.size(); ++i) {
    LongLived& lived = long_lived_[i];
    lived.target = i % options_.targets.size();
    lived.timer = std::make_unique<boost::asio::steady_timer>(io_);
    // Spread over the interval, so that they do not all ask at once.
    arm_long(lived, began_ + options_.long_interval * i / long_lived_.size());
  }
}

void Load::stop() {
  stopped_ = true;
  plan_timer_.cancel();
  for (LongLived& lived : long_lived_) lived.timer->cancel();
}

bool Load::over() const {
  return stopped_ || requests_ >= options_.requests_max || Clock::now() - began_ >= options_.duration;
}

std::int64_t Load::unix_ns(Clock::time_point when) const {
  return began_unix_ns_ + std::chrono::duration_cast<std::chrono::nanoseconds>(when - began_).count();
}

Clock::time_point Load::planned_at(std::uint64_t number) const {
  const std::chrono::duration<double> offset(static_cast<double>(number) / options_.rate_per_s);
  return began_ + std::chrono::duration_cast<Clock::duration>(offset);
}

void Load::arm(boost::asio::steady_timer& timer, Clock::time_point when, std::function<void()> due) {
  ++pending_;
  timer.expires_at(std::min(when, began_ + options_.duration));
  timer.async_wait([this, due = std::move(due)](boost::system::error_code) {
    --pending_;
    if (!over()) due();
  });
}

void Load::arm_plan() {
  arm(plan_timer_, planned_at(planned_), [this] { launch_due(); });
}

void Load::launch_due() {
  // All that is due: a wake-up that came late must not thin out the plan.
  while (!over() && planned_at(planned_) <= Clock::now()) launch_new(planned_++);
  if (!over()) arm_plan();
}

void Load::launch_new(std::uint64_t number) {
  const std::size_t target = number % options_.targets.size();
  Record record;
  record.kind = Kind::kNew;
  record.target = options_.targets[target].name;
  record.scheduled_unix_ns = unix_ns(planned_at(number));
  send(connect(target), std::move(record), true, [](bool) {});
}

void Load::arm_long(LongLived& lived, Clock::time_point when) {
  arm(*lived.timer, when, [this, &lived, when] { request_long(lived, when); });
}

void Load::request_long(LongLived& lived, Clock::time_point planned) {
  if (!lived.connection) lived.connection = connect(lived.target);
  Record record;
  record.kind = Kind::kLong;
  record.target = options_.targets[lived.target].name;
  record.scheduled_unix_ns = unix_ns(planned);
  send(lived.connection, std::move(record), false, [this, &lived, planned](bool good) {
    if (!good) lived.connection.reset();  // the next request opens a new one
    // One connection cannot ask while it waits: the turns that were missed meanwhile are left out.
    Clock::time_point next = planned + options_.long_interval;
    while (next < Clock::now()) next += options_.long_interval;
    if (!over()) arm_long(lived, next);
  });
}

std::shared_ptr<Connection> Load::connect(std::size_t target) {
  return std::make_shared<Connection>(io_, ++connections_, options_.targets[target].endpoint, options_.timeout);
}

void Load::send(const std::shared_ptr<Connection>& connection, Record record, bool last,
                std::function<void(bool)> done) {
  ++requests_;
  ++pending_;
  record.connection = connection->id();
  record.start_unix_ns = now_unix_ns();
  connection->get(last, [this, record = std::move(record), done = std::move(done)](const Answer& answer) mutable {
    record.end_unix_ns = now_unix_ns();
    record.error = answer.error;
    if (record.error.empty()) {
      record.pop = answer_field(answer.body, "pop");
      record.backend = answer_field(answer.body, "backend");
      if (record.pop.empty() || record.backend.empty()) record.error = "answer";
    }
    --pending_;
    sink_(record);
    done(record.error.empty());
  });
}

}  // namespace anypop::loadgen
