// SPDX-License-Identifier: Apache-2.0
#include "healthmon/web.h"

#include <utility>

#include <boost/json/serialize.hpp>

#include "base/text.h"
#include "healthmon/status_page.h"

namespace anypop::healthmon {
namespace {

constexpr std::size_t kEventsKept = 50;

// One server-sent event (HTML Living Standard, section 9.2): each line of it is a "data:" line.
std::string server_sent(std::string_view text) {
  std::string out = "retry: 100\n";
  for (const std::string_view line : split(text, '\n')) out += fmt::format("data: {}\n", line);
  return out + "\n";
}

template <typename T>
std::optional<T> known(const absl::StatusOr<T>& answer) {
  return answer.ok() ? std::optional(*answer) : std::nullopt;
}

}  // namespace

absl::Status Web::listen(boost::asio::io_context& io, const PopConfig& config, HttpServer::AsyncHandler others) {
  if (config.monitor.http_listen.empty()) return absl::OkStatus();
  auto server = HttpServer::listen_async(
      io, {.tcp_listen = config.monitor.http_listen},
      [this, others = std::move(others)](const HttpRequest& request, const HttpServer::Reply& reply) {
        if (!answer(request, reply)) others(request, reply);
      });
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  return absl::OkStatus();
}

bool Web::answer(const HttpRequest& request, const HttpServer::Reply& reply) {
  const std::string path = request.target.substr(0, request.target.find('?'));
  if (path != "/" && path != "/metrics" && path != "/status/stream" && path != "/v1/state") return false;
  if (request.method != "GET") {
    reply(http_error(405, fmt::format("found {}, expected GET", escaped(request.method))));
  } else if (path == "/") {
    reply({200, page(true), "text/html; charset=utf-8"});
  } else if (path == "/metrics") {
    reply({200, metrics(), "text/plain; version=0.0.4; charset=utf-8"});
  } else if (path == "/v1/state") {
    reply({200, boost::json::serialize(sources_.state()) + "\n"});
  } else {
    waiting_.push_back(reply);
  }
  return true;
}

void Web::on_event(const boost::json::object& event) {
  ++event_counts_[std::string(event.at("event").as_string())];
  events_.push_back(event);
  events_.back()["unix_ms"] = sources_.unix_ms();
  if (events_.size() > kEventsKept) events_.pop_front();
}

void Web::on_heartbeat(const absl::StatusOr<dataplane_api::Heartbeat>& heartbeat) { heartbeat_ = known(heartbeat); }

void Web::on_state(const absl::StatusOr<dataplane_api::State>& state) { state_ = known(state); }

void Web::on_stats(const absl::StatusOr<dataplane_api::Stats>& stats, SteadyTime now) {
  stats_ = known(stats);
  if (stats.ok()) {
    traffic_.add(*stats, now);
  } else {
    traffic_.lost();
  }
}

void Web::publish() {
  if (waiting_.empty()) return;
  const std::string event = server_sent(page(false));
  for (const HttpServer::Reply& reply : std::exchange(waiting_, {})) {
    reply({200, event, "text/event-stream"});
  }
}

std::string Web::page(bool whole) const {
  const StatusView view{
      .state = sources_.state(), .events = &events_, .traffic = &traffic_, .now_unix_ms = sources_.unix_ms()};
  return whole ? status_page(view) : status_sections(view);
}

std::string Web::metrics() const {
  MetricsPage out;
  add_build_info(out, "anypop-healthmon");
  sources_.metrics(out);
  out.counter("anypop_events_total", "Lines written to the event log, by event.");
  for (const auto& [event, count] : event_counts_) out.add({{"event", event}}, static_cast<double>(count));
  if (heartbeat_) dataplane_api::add_metrics(out, *heartbeat_);
  if (state_) dataplane_api::add_metrics(out, *state_);
  if (stats_) dataplane_api::add_metrics(out, *stats_);
  return out.text();
}

}  // namespace anypop::healthmon
