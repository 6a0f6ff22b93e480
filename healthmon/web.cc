// SPDX-License-Identifier: Apache-2.0
#include "healthmon/web.h"

#include <algorithm>
#include <utility>

#include <boost/json/serialize.hpp>

#include "base/text.h"
#include "healthmon/status_page.h"

namespace anypop::healthmon {
namespace {

// The value of ?service=, as far as it can be a name; empty: every service.
std::string wanted_service(std::string_view target) {
  constexpr std::string_view kKey = "?service=";
  const std::size_t at = target.find(kKey);
  if (at == std::string_view::npos) return "";
  const std::string_view value = target.substr(at + kKey.size());
  return std::string(value.substr(0, std::min<std::size_t>(value.find('&'), 64)));
}

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
    reply({200, page(true, wanted_service(request.target)), "text/html; charset=utf-8"});
  } else if (path == "/metrics") {
    reply(metrics());
  } else if (path == "/v1/state") {
    reply({200, boost::json::serialize(state()) + "\n"});
  } else {
    waiting_.emplace(wanted_service(request.target), reply);
  }
  return true;
}

void Web::on_event(const boost::json::object& event, bool written) {
  ++event_counts_[std::string(event.at("event").as_string())];
  if (written) return;
  boost::json::object timed = event;
  timed["unix_ns"] = sources_.unix_ms() * 1'000'000;
  tail_.push(timed);
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
  const auto waiting = std::exchange(waiting_, {});
  for (auto at = waiting.begin(); at != waiting.end();) {
    const std::string wanted = at->first;
    const std::string event = server_sent(page(false, wanted));
    for (; at != waiting.end() && at->first == wanted; ++at) at->second({200, event, "text/event-stream"});
  }
}

std::string Web::page(bool whole, const std::string& wanted) {
  tail_.refresh();
  StatusView view{.events = &tail_.events(),
                  .traffic = &traffic_,
                  .dataplane = state_ ? &*state_ : nullptr,
                  .stats = stats_ ? &*stats_ : nullptr,
                  .now_unix_ms = sources_.unix_ms()};
  view.whole = wanted == "all";
  view.narrowed = !wanted.empty() && !view.whole;
  view.many_services = sources_.backends() > kBackendsListed;
  view.state =
      sources_.state({.service = view.narrowed ? wanted : "", .summary = view.many_services && !view.narrowed});
  return whole ? status_page(view) : status_sections(view);
}

boost::json::object Web::state() const {
  boost::json::object state = sources_.state({});
  state["traffic"] = nullptr;
  if (traffic_.live() && !traffic_.forwarded().per_s.empty()) {
    state["traffic"] = {{"forwarded_per_s", traffic_.forwarded().per_s.back()},
                        {"dropped_per_s", traffic_.dropped().per_s.back()}};
  }
  return state;
}

HttpResponse Web::metrics() {
  MetricsPage out;
  out.reserve(metrics_bytes_);
  if (state_) {
    add_build_info(out, {{"anypop-healthmon", ANYPOP_VERSION}, {"anypop-dataplane", state_->version}});
  } else {
    add_build_info(out, {{"anypop-healthmon", ANYPOP_VERSION}});
  }
  sources_.metrics(out);
  out.counter("anypop_events_total", "Lines written to the event log, by event.");
  for (const auto& [event, count] : event_counts_) out.add({{"event", event}}, static_cast<double>(count));
  if (heartbeat_) dataplane_api::add_metrics(out, *heartbeat_);
  if (state_) dataplane_api::add_metrics(out, *state_);
  if (stats_) dataplane_api::add_metrics(out, *stats_);
  metrics_bytes_ = out.text().size() + out.text().size() / 16;
  return std::move(out).response();
}

}  // namespace anypop::healthmon
