// SPDX-License-Identifier: Apache-2.0
// What the monitor shows to people and to Prometheus: GET / (status page), /status/stream, /metrics and /v1/state, on
// its Unix socket and, read-only, on monitor.http_listen. One thread.
//
// /status/stream is a stream of server-sent events one answer at a time: each request is held until something has
// happened, a second at most, and answered with one event; the browser comes back by itself, as it does whenever such a
// stream ends. So a viewer who has gone away holds nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>

#include "base/config.h"
#include "dataplane_api/http_server.h"
#include "dataplane_api/messages.h"
#include "dataplane_api/metrics.h"
#include "healthmon/traffic_history.h"

namespace anypop::healthmon {

class Web {
 public:
  struct Sources {
    std::function<boost::json::object()> state;  // the body of GET /v1/state
    std::function<void(MetricsPage&)> metrics;   // the monitor's own
    std::function<std::int64_t()> unix_ms;
  };
  explicit Web(Sources sources) : sources_(std::move(sources)) {}

  // Serves monitor.http_listen, if there is one; requests for other pages go to `others`. The error names it.
  absl::Status listen(boost::asio::io_context& io, const PopConfig& config, HttpServer::AsyncHandler others);
  // True if the request was for one of the pages, and is or will be answered.
  bool answer(const HttpRequest& request, const HttpServer::Reply& reply);

  void on_event(const boost::json::object& event);
  // What the dataplane said last; an error: nothing.
  void on_heartbeat(const absl::StatusOr<dataplane_api::Heartbeat>& heartbeat);
  void on_state(const absl::StatusOr<dataplane_api::State>& state);
  void on_stats(const absl::StatusOr<dataplane_api::Stats>& stats, SteadyTime now);
  // Sends everybody who waits what is known now. To be called every second, and when something has happened.
  void publish();

 private:
  std::string metrics() const;
  std::string page(bool whole) const;

  Sources sources_;
  std::unique_ptr<HttpServer> server_;
  std::vector<HttpServer::Reply> waiting_;
  std::deque<boost::json::object> events_;  // the last ones
  std::map<std::string, std::uint64_t> event_counts_;
  TrafficHistory traffic_;
  std::optional<dataplane_api::Heartbeat> heartbeat_;
  std::optional<dataplane_api::State> state_;
  std::optional<dataplane_api::Stats> stats_;
};

}  // namespace anypop::healthmon
