// SPDX-License-Identifier: Apache-2.0
// What the monitor shows to people and to Prometheus: GET / (status page), /status/stream, /metrics and /v1/state, on
// its Unix socket and, read-only, on monitor.http_listen. One thread.
//
// /status/stream is a stream of server-sent events one answer at a time: each request is held until something has
// happened, a second at most, and answered with one event; the browser comes back by itself, as it does whenever such a
// stream ends. So a viewer who has gone away holds nothing.
//
// `/?service=web4` is that service alone. A PoP with more than kBackendsListed backends is shown as a line for each
// service, so that the page stays small.
#pragma once

#include <cstdint>
#include <filesystem>
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
#include "healthmon/event_tail.h"
#include "healthmon/monitor_core.h"
#include "healthmon/traffic_history.h"

namespace anypop::healthmon {

class Web {
 public:
  static constexpr std::size_t kBackendsListed = 150;
  struct Sources {
    std::function<boost::json::object(const StateDetail&)> state;  // the body of GET /v1/state
    std::function<std::size_t()> backends;                         // how many there are
    std::function<void(MetricsPage&)> metrics;                     // the monitor's own
    std::function<std::int64_t()> unix_ms;
    std::filesystem::path event_log;
  };
  explicit Web(Sources sources) : sources_(std::move(sources)), tail_(sources_.event_log) {}

  // Serves monitor.http_listen, if there is one; requests for other pages go to `others`. The error names it.
  absl::Status listen(boost::asio::io_context& io, const PopConfig& config, HttpServer::AsyncHandler others);
  // True if the request was for one of the pages, and is or will be answered.
  bool answer(const HttpRequest& request, const HttpServer::Reply& reply);

  // `written`: it is in the event log too.
  void on_event(const boost::json::object& event, bool written);
  // What the dataplane said last; an error: nothing.
  void on_heartbeat(const absl::StatusOr<dataplane_api::Heartbeat>& heartbeat);
  void on_state(const absl::StatusOr<dataplane_api::State>& state);
  void on_stats(const absl::StatusOr<dataplane_api::Stats>& stats, SteadyTime now);
  // Sends everybody who waits what is known now. To be called every second, and when something has happened.
  void publish();

 private:
  HttpResponse metrics();
  boost::json::object state() const;  // the monitor's, and what passes
  std::string page(bool whole, const std::string& wanted);

  Sources sources_;
  EventTail tail_;
  std::unique_ptr<HttpServer> server_;
  std::multimap<std::string, HttpServer::Reply> waiting_;  // by the service that is looked at
  std::map<std::string, std::uint64_t> event_counts_;
  std::size_t metrics_bytes_ = 0;  // of the last page of them
  TrafficHistory traffic_;
  std::optional<dataplane_api::Heartbeat> heartbeat_;
  std::optional<dataplane_api::State> state_;
  std::optional<dataplane_api::Stats> stats_;
};

}  // namespace anypop::healthmon
