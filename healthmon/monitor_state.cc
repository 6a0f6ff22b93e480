// SPDX-License-Identifier: Apache-2.0
// GET /v1/state: what the monitor knows, as JSON.
#include <algorithm>

#include <boost/json/array.hpp>

#include "announcement_track.h"
#include "base/text.h"
#include "healthmon/monitor_core.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

json::value drain_json(const std::optional<DrainOrder>& order) {
  if (!order) return nullptr;
  return json::object{{"who", order->who},
                      {"reason", order->reason},
                      {"placed_unix_ms", order->placed_unix_ms},
                      {"expires_unix_ms", order->expires_unix_ms ? json::value(*order->expires_unix_ms) : nullptr}};
}

json::array probes_json(const std::vector<ProbeConfig>& configs, const BackendProbes& probes) {
  json::array result;
  for (std::size_t i = 0; i < configs.size(); ++i) {
    const ProbeRecord& record = probes.records()[i];
    result.push_back(json::object{{"name", configs[i].name},
                                  {"type", text(probe_type_name(configs[i].type))},
                                  {"health", text(health_name(record.rise_fall.health()))},
                                  {"ok", record.last.ok},
                                  {"cause", record.last.cause},
                                  {"latency_us", record.last.latency.count()},
                                  {"last_unix_ms", record.last_unix_ms},
                                  {"succeeded", record.succeeded},
                                  {"failed", record.failed},
                                  {"interval_ms", probes.interval(i).count()}});
  }
  return result;
}

}  // namespace

std::string MonitorCore::summary() const {
  if (!facts_.first_round_done) return fmt::format("first full round: {}", facts_.first_round_missing);
  const auto announced =
      std::count_if(tracks_.begin(), tracks_.end(), [](const auto& track) { return track->decision().announced(); });
  return fmt::format("announces {} of {}", announced, tracks_.size());
}

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
  json::array& instances = bird["instances"].emplace_array();
  for (const bgpctl::BirdInstance& one : bird_.ok() ? bird_->instances : std::vector<bgpctl::BirdInstance>()) {
    instances.push_back(json::object{{"socket", one.socket},
                                     {"reachable", one.error.empty()},
                                     {"error", one.error},
                                     {"version", one.version},
                                     {"last_reconfiguration", one.last_reconfiguration}});
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
    service["panic"] = plans_[s].panic;
    json::array& backends = service["backends"].emplace_array();
    for (std::size_t b = 0; b < backends_[s].size(); ++b) {
      const BackendFacts& facts = facts_.backends[s][b];
      const Health health = standings_[s][b].health;
      const BackendUse& use = plans_[s].backends[b];
      backends.push_back(json::object{{"name", config.backends[b].name},
                                      {"address", config.backends[b].address.to_string()},
                                      {"healthy", health == Health::kHealthy},
                                      {"health", text(health_name(health))},
                                      {"resolved", facts.resolved},
                                      {"cause", backends_[s][b].probes.cause()},
                                      {"last_change_unix_ms", backends_[s][b].last_change_unix_ms},
                                      {"weight", config.backends[b].weight},
                                      {"used", use.used},
                                      {"weight_permille", use.weight_permille},
                                      {"use_reason", text(use_reason_name(use.reason))},
                                      {"drain", drain_json(backends_[s][b].drain)},
                                      {"probes", probes_json(config.probes, backends_[s][b].probes)}});
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
      {"restarting", dataplane.restarting},
      {"cause", dataplane.condition == DataplaneFacts::Condition::kUnknown ? "not asked yet" : dataplane.cause}};
  state["bird"] = bird_json();
  state["first_round_complete"] = facts_.first_round_done;
  state["second_opinion"] = second_opinion_;
  state["services"] = services_json();
  json::array& announcements = state["announcements"].emplace_array();
  for (const auto& track : tracks_) announcements.push_back(track->json(now));
  return state;
}

}  // namespace anypop::healthmon
