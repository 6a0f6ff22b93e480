// SPDX-License-Identifier: Apache-2.0
// GET /v1/state: what the monitor knows, as JSON.
#include <boost/json/array.hpp>

#include "announcement_track.h"
#include "base/text.h"
#include "healthmon/monitor_core.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

}  // namespace

json::object MonitorCore::bird_json() const {
  json::object bird{{"reachable", bird_.ok()},
                    {"version", bird_.ok() ? bird_->version : ""},
                    {"error", text(message(bird_.status()))}};
  json::array& sessions = bird["sessions"].emplace_array();
  if (bird_.ok()) {
    for (const auto& [name, session] : bird_->sessions) {
      sessions.push_back(json::object{{"name", name}, {"established", session.established}});
    }
  }
  return bird;
}

json::array MonitorCore::services_json() const {
  json::array services;
  for (std::size_t s = 0; s < backends_.size(); ++s) {
    const ServiceConfig& config = config_.services[s];
    json::object service{{"name", config.name},
                         {"vip", config.vip.to_string()},
                         {"protocol", text(protocol_name(config.protocol))},
                         {"port", config.port}};
    json::array& backends = service["backends"].emplace_array();
    for (std::size_t b = 0; b < backends_[s].size(); ++b) {
      const BackendFacts& facts = facts_.backends[s][b];
      backends.push_back(json::object{{"name", config.backends[b].name},
                                      {"address", config.backends[b].address.to_string()},
                                      {"healthy", facts.health == Health::kHealthy},
                                      {"health", text(health_name(facts.health))},
                                      {"resolved", facts.resolved},
                                      {"cause", backends_[s][b].cause},
                                      {"last_change_unix_ms", backends_[s][b].last_change_unix_ms},
                                      {"weight", config.backends[b].weight}});
    }
    services.push_back(std::move(service));
  }
  return services;
}

json::object MonitorCore::state_json(Now now) const {
  json::object state;
  const DataplaneFacts& dataplane = facts_.dataplane;
  const bool alive = dataplane.condition == DataplaneFacts::Condition::kAlive;
  state["dataplane"] = {
      {"alive", alive},
      {"cause", dataplane.condition == DataplaneFacts::Condition::kUnknown ? "not asked yet" : dataplane.cause}};
  state["bird"] = bird_json();
  state["services"] = services_json();
  json::array& announcements = state["announcements"].emplace_array();
  for (const auto& track : tracks_) announcements.push_back(track->json(now));
  return state;
}

}  // namespace anypop::healthmon
