// SPDX-License-Identifier: Apache-2.0
#include "dataplane/control_api.h"

#include <array>
#include <string>
#include <string_view>

#include "base/text.h"
#include "dataplane_api/metrics.h"

namespace anypop::dataplane {
namespace {

using dataplane_api::kExplainPath;
using dataplane_api::kHealthPath;
using dataplane_api::kHeartbeatPath;
using dataplane_api::kStatePath;
using dataplane_api::kStatsPath;

HttpResponse status_error(const absl::Status& status) {
  const unsigned code = absl::IsInvalidArgument(status) ? 400
                        : absl::IsNotFound(status)      ? 404
                        : absl::IsAlreadyExists(status) ? 409
                                                        : 503;
  return http_error(code, std::string(message(status)));
}

using dataplane_api::kCapturePath;
using dataplane_api::kReloadPath;
using Reply = HttpServer::Reply;

void get_heartbeat(const ControlApi& api, const HttpRequest& /*request*/, const Reply& reply) {
  reply({200, to_json(api.heartbeat())});
}
void get_state(const ControlApi& api, const HttpRequest& /*request*/, const Reply& reply) {
  reply({200, to_json(api.state())});
}
void get_stats(const ControlApi& api, const HttpRequest& /*request*/, const Reply& reply) {
  reply({200, to_json(api.stats())});
}

void get_metrics(const ControlApi& api, const HttpRequest& /*request*/, const Reply& reply) {
  MetricsPage page;
  add_build_info(page, {{"anypop-dataplane", ANYPOP_VERSION}});
  add_metrics(page, api.heartbeat());
  add_metrics(page, api.state());
  add_metrics(page, api.stats());
  reply(std::move(page).response());
}

void put_health(const ControlApi& api, const HttpRequest& request, const Reply& reply) {
  const auto update = dataplane_api::parse_health_update(request.body);
  if (!update.ok()) return reply(status_error(update.status()));
  dataplane_api::HealthAnswer good;
  if (absl::Status status = api.set_health(*update, good.unknown); !status.ok()) return reply(status_error(status));
  good.generation = api.heartbeat().generation;
  reply({200, to_json(good)});
}

void post_reload(const ControlApi& api, const HttpRequest& request, const Reply& reply) {
  const std::size_t query = request.target.find('?');
  const bool dry_run = query != std::string::npos && request.target.substr(query + 1) == "dry_run=1";
  if (query != std::string::npos && !dry_run) {
    return reply(http_error(
        400, fmt::format("found ?{}, expected ?dry_run=1 or nothing", escaped(request.target.substr(query + 1)))));
  }
  if (!dry_run && !request.body.empty()) {
    return reply(http_error(400, "found a body, expected none: a reload takes the configuration's file"));
  }
  api.reload({dry_run, request.body}, [reply](const absl::StatusOr<dataplane_api::ReloadReport>& report) {
    if (!report.ok()) return reply(status_error(report.status()));
    reply({report->refused.empty() ? 200U : 409U, to_json(*report)});
  });
}

void post_restart(const ControlApi& api, const HttpRequest& /*request*/, const Reply& reply) {
  api.restart();
  reply({200, "{}\n"});
}

void post_capture(const ControlApi& api, const HttpRequest& request, const Reply& reply) {
  const auto wanted = dataplane_api::parse_capture_request(request.body);
  if (!wanted.ok()) return reply(status_error(wanted.status()));
  const absl::Status status = api.start_capture(*wanted);
  reply(status.ok() ? HttpResponse{200, "{}\n"} : status_error(status));
}

void get_capture(const ControlApi& api, const HttpRequest& /*request*/, const Reply& reply) {
  const auto answer = api.fetch_capture();
  reply(answer.ok() ? HttpResponse{200, to_json(*answer)} : status_error(answer.status()));
}

void delete_capture(const ControlApi& api, const HttpRequest& /*request*/, const Reply& reply) {
  const absl::Status status = api.stop_capture();
  reply(status.ok() ? HttpResponse{200, "{}\n"} : status_error(status));
}

void post_explain(const ControlApi& api, const HttpRequest& request, const Reply& reply) {
  const auto question = dataplane_api::parse_explain_request(request.body);
  if (!question.ok()) return reply(status_error(question.status()));
  const auto answer = api.explain(*question);
  if (!answer.ok()) return reply(status_error(answer.status()));
  reply({200, to_json(*answer)});
}

struct Route {
  std::string_view path;
  std::string_view method;
  void (*answer)(const ControlApi&, const HttpRequest&, const Reply&);
};

constexpr std::array kRoutes = {
    Route{kHeartbeatPath, "GET", get_heartbeat},
    Route{kStatePath, "GET", get_state},
    Route{kStatsPath, "GET", get_stats},
    Route{kHealthPath, "PUT", put_health},
    Route{kReloadPath, "POST", post_reload},
    Route{dataplane_api::kRestartPath, "POST", post_restart},
    Route{kCapturePath, "POST", post_capture},
    Route{kCapturePath, "GET", get_capture},
    Route{kCapturePath, "DELETE", delete_capture},
    Route{kExplainPath, "POST", post_explain},
    Route{dataplane_api::kMetricsPath, "GET", get_metrics},
};

std::string paths() {
  std::string out;
  for (const Route& route : kRoutes) {
    if (out.find(route.path) == std::string::npos) out += fmt::format("{}{}", out.empty() ? "" : ", ", route.path);
  }
  return out;
}

}  // namespace

void answer(const ControlApi& api, const HttpRequest& request, const Reply& reply) {
  const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
  std::string methods;
  for (const Route& route : kRoutes) {
    if (route.path != path) continue;
    if (route.method == request.method) return route.answer(api, request, reply);
    methods += fmt::format("{}{}", methods.empty() ? "" : " or ", route.method);
  }
  if (!methods.empty()) {
    return reply(http_error(405, fmt::format("found {} {}, expected {}", escaped(request.method), path, methods)));
  }
  reply(http_error(404, fmt::format("found {}, expected one of {}", escaped(path), paths())));
}

}  // namespace anypop::dataplane
