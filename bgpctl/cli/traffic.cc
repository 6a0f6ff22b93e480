// SPDX-License-Identifier: Apache-2.0
#include "traffic.h"

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "dataplane_api/http_client.h"
#include "dataplane_api/messages.h"

namespace anypop::bgpctl {
namespace {

constexpr std::chrono::milliseconds kTimeout{1000};

bool is_inside(const PopConfig& config, const AnnouncementConfig& announcement, const std::string& service_name) {
  const ServiceConfig* service = config.find_service(service_name);
  return service != nullptr &&
         std::any_of(announcement.prefixes.begin(), announcement.prefixes.end(),
                     [&](const IpPrefix& prefix) { return prefix.contains(service->vip_prefix()); });
}

}  // namespace

absl::StatusOr<Traffic> ask_traffic(const PopConfig& config, const AnnouncementConfig& announcement) {
  const auto answer =
      http_call(config.dataplane_socket(), {"GET", std::string(dataplane_api::kStatsPath), ""}, kTimeout);
  if (!answer.ok()) return answer.status();
  if (answer->status != 200) {
    return internal_error("{}: found status {}, expected 200", config.dataplane_socket().string(), answer->status);
  }
  const absl::StatusOr<dataplane_api::Stats> stats = dataplane_api::parse_stats(answer->body);
  if (!stats.ok()) return stats.status();
  Traffic traffic{stats->instance};
  for (const dataplane_api::ServiceStats& service : stats->services) {
    if (!is_inside(config, announcement, service.name)) continue;
    for (const dataplane_api::BackendStats& backend : service.backends) traffic.packets += backend.packets;
  }
  return traffic;
}

}  // namespace anypop::bgpctl
