// SPDX-License-Identifier: Apache-2.0
#include "dataplane/control_api.h"

#include <array>
#include <string>
#include <string_view>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

using dataplane_api::kHealthPath;
using dataplane_api::kHeartbeatPath;
using dataplane_api::kStatePath;
using dataplane_api::kStatsPath;

HttpResponse status_error(const absl::Status& status) {
  return http_error(absl::IsInvalidArgument(status) ? 400 : 503, std::string(message(status)));
}

HttpResponse get_heartbeat(const ControlApi& api, const HttpRequest& /*request*/) {
  return {200, to_json(api.heartbeat())};
}
HttpResponse get_state(const ControlApi& api, const HttpRequest& /*request*/) { return {200, to_json(api.state())}; }
HttpResponse get_stats(const ControlApi& api, const HttpRequest& /*request*/) { return {200, to_json(api.stats())}; }

HttpResponse put_health(const ControlApi& api, const HttpRequest& request) {
  const auto update = dataplane_api::parse_health_update(request.body);
  if (!update.ok()) return status_error(update.status());
  if (absl::Status status = api.set_health(*update); !status.ok()) return status_error(status);
  return {200, fmt::format("{{\"generation\":{}}}\n", api.heartbeat().generation)};
}

struct Route {
  std::string_view path;
  std::string_view method;
  HttpResponse (*answer)(const ControlApi&, const HttpRequest&);
};

constexpr std::array kRoutes = {
    Route{kHeartbeatPath, "GET", get_heartbeat},
    Route{kStatePath, "GET", get_state},
    Route{kStatsPath, "GET", get_stats},
    Route{kHealthPath, "PUT", put_health},
};

}  // namespace

HttpResponse answer(const ControlApi& api, const HttpRequest& request) {
  const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
  for (const Route& route : kRoutes) {
    if (route.path != path) continue;
    if (route.method == request.method) return route.answer(api, request);
    return http_error(405, fmt::format("found {} {}, expected {}", escaped(request.method), path, route.method));
  }
  return http_error(404, fmt::format("found {}, expected one of {}, {}, {}, {}", escaped(path), kHeartbeatPath,
                                     kStatePath, kStatsPath, kHealthPath));
}

}  // namespace anypop::dataplane
