// SPDX-License-Identifier: Apache-2.0
#include "healthmon/dataplane_link.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "base/text.h"
#include "dataplane_api/http_client.h"
#include "healthmon/time.h"

namespace anypop::healthmon {
namespace {

namespace asio = boost::asio;
namespace api = dataplane_api;

constexpr auto kRequestTimeout = std::chrono::seconds(1);

// The body of a good answer.
absl::StatusOr<std::string> body_of(absl::StatusOr<HttpResponse> response) {
  if (!response.ok()) return response.status();
  if (response->status == 200) return std::move(response->body);
  // Not Unavailable: somebody is there.
  return failed_precondition("HTTP {}: {}", response->status, escaped(response->body.substr(0, 200)));
}

}  // namespace

class DataplaneLink::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, const PopConfig& config, OnHeartbeat on_heartbeat)
      : interval_(config.monitor.heartbeat_interval_ms),
        timeout_(config.monitor.heartbeat_timeout_ms),
        on_heartbeat_(std::move(on_heartbeat)),
        timer_(io),
        heartbeats_(io, config.dataplane_socket()),
        requests_(io, config.dataplane_socket()) {}

  void start() {
    heartbeats_.on_closed([this] { ask(); });
    ask();
  }

  void stop() {
    stopped_ = true;
    timer_.cancel();
  }

  void request(HttpRequest request, HttpConnection::Handler handler) {
    queue_.emplace_back(std::move(request), std::move(handler));
    if (queue_.size() == 1) send_next();
  }

 private:
  void ask() {
    if (stopped_ || asking_) return;
    asking_ = true;
    retried_ = false;
    asked_ = SteadyTime::clock::now();
    call();
  }

  void call() {
    heartbeats_.call(
        {"GET", std::string(api::kHeartbeatPath), ""}, timeout_,
        [self = shared_from_this()](absl::StatusOr<HttpResponse> response) { self->on_answer(std::move(response)); });
  }

  void on_answer(absl::StatusOr<HttpResponse> response) {
    if (stopped_) return;
    if (absl::IsUnavailable(response.status()) && !std::exchange(retried_, true)) return call();
    asking_ = false;
    const absl::StatusOr<std::string> body = body_of(std::move(response));
    on_heartbeat_(body.ok() ? api::parse_heartbeat(*body) : body.status());
    if (stopped_) return;
    timer_.expires_at(std::max(SteadyTime::clock::now(), asked_ + interval_));
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error) self->ask();
    });
  }

  void send_next() {
    requests_.call(queue_.front().first, kRequestTimeout, [this](absl::StatusOr<HttpResponse> response) {
      auto handler = std::move(queue_.front().second);
      queue_.pop_front();
      if (!queue_.empty()) send_next();
      handler(std::move(response));
    });
  }

  Milliseconds interval_;
  Milliseconds timeout_;
  OnHeartbeat on_heartbeat_;
  asio::steady_timer timer_;
  HttpConnection heartbeats_;  // neither calls a handler once it is destroyed
  HttpConnection requests_;
  std::deque<std::pair<HttpRequest, HttpConnection::Handler>> queue_;
  SteadyTime asked_;
  bool asking_ = false;
  bool retried_ = false;
  bool stopped_ = false;
};

DataplaneLink::DataplaneLink(asio::io_context& io, const PopConfig& config, OnHeartbeat on_heartbeat)
    : impl_(std::make_shared<Impl>(io, config, std::move(on_heartbeat))) {
  impl_->start();
}

DataplaneLink::~DataplaneLink() { impl_->stop(); }

void DataplaneLink::read_state(std::function<void(const absl::StatusOr<api::State>&)> handler) {
  impl_->request({"GET", std::string(api::kStatePath), ""},
                 [handler = std::move(handler)](absl::StatusOr<HttpResponse> response) {
                   const absl::StatusOr<std::string> body = body_of(std::move(response));
                   handler(body.ok() ? api::parse_state(*body) : body.status());
                 });
}

void DataplaneLink::read_stats(std::function<void(const absl::StatusOr<api::Stats>&)> handler) {
  impl_->request({"GET", std::string(api::kStatsPath), ""},
                 [handler = std::move(handler)](absl::StatusOr<HttpResponse> response) {
                   const absl::StatusOr<std::string> body = body_of(std::move(response));
                   handler(body.ok() ? api::parse_stats(*body) : body.status());
                 });
}

void DataplaneLink::push_health(const api::HealthUpdate& update, std::function<void(const absl::Status&)> handler) {
  impl_->request({"PUT", std::string(api::kHealthPath), api::to_json(update)},
                 [handler = std::move(handler)](absl::StatusOr<HttpResponse> response) {
                   handler(body_of(std::move(response)).status());
                 });
}

}  // namespace anypop::healthmon
