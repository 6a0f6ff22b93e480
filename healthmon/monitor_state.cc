// SPDX-License-Identifier: Apache-2.0
// GET /v1/state: what the monitor knows, as JSON.
#include <algorithm>

#include <boost/json/array.hpp>

#include "announcement_track.h"
#include "base/text.h"
#include "healthmon/monitor_core.h"
#include "strangers.h"

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

std::size_t MonitorCore::backend_count() const {
  std::size_t count = 0;
  for (const auto& backends : backends_) count += backends.size();
  return count;
}

unsigned MonitorCore::healthy_percent(std::size_t service) const {
  std::uint64_t healthy = 0;
  std::uint64_t all = 0;
  for (std::size_t b = 0; b < backends_[service].size(); ++b) {
    const unsigned weight = config_.services[service].backends[b].weight;
    all += weight;
    if (standings_[service][b].health == Health::kHealthy) healthy += weight;
  }
  return all == 0 ? 0 : static_cast<unsigned>(100 * healthy / all);
}

json::object MonitorCore::backend_json(BackendId id) const {
  const BackendConfig& config = config_.services[id.service].backends[id.backend];
  const Backend& backend = backends_[id.service][id.backend];
  const Health health = standings_[id.service][id.backend].health;
  const BackendUse& use = plans_[id.service].backends[id.backend];
  return {{"name", config.name},
          {"address", config.address.to_string()},
          {"healthy", health == Health::kHealthy},
          {"health", text(health_name(health))},
          {"resolved", facts_.backends[id.service][id.backend].resolved},
          {"cause", backend.probes.cause()},
          {"last_change_unix_ms", backend.last_change_unix_ms},
          {"weight", config.weight},
          {"used", use.used},
          {"weight_permille", use.weight_permille},
          {"use_reason", text(use_reason_name(use.reason))},
          {"drain", drain_json(backend.drain)},
          {"probes", probes_json(config_.services[id.service].probes, backend.probes)}};
}

json::object MonitorCore::service_json(std::size_t index) const {
  const ServiceConfig& config = config_.services[index];
  std::size_t healthy = 0;
  for (const BackendStanding& standing : standings_[index]) {
    if (standing.health == Health::kHealthy) ++healthy;
  }
  // Of several announcements the one that asks for most.
  unsigned drain_below = 0;
  unsigned withdraw_below = 0;
  for (const AnnouncementConfig& announcement : config_.announcements) {
    if (std::ranges::find(announcement.services, config.name) == announcement.services.end()) continue;
    drain_below = std::max(drain_below, announcement.drain_below_percent);
    withdraw_below = std::max(withdraw_below, announcement.min_healthy_percent);
  }
  return {{"name", config.name},
          {"vip", config.vip.to_string()},
          {"protocol", text(protocol_name(config.protocol))},
          {"port", config.port},
          {"panic", plans_[index].panic},
          {"backends_total", config.backends.size()},
          {"backends_healthy", healthy},
          {"healthy_percent", healthy_percent(index)},
          {"drain_below_percent", drain_below},
          {"withdraw_below_percent", withdraw_below}};
}

json::array MonitorCore::services_json(const StateDetail& detail) const {
  json::array services;
  std::size_t sick = 0;
  for (std::size_t s = 0; s < backends_.size(); ++s) {
    if (!detail.service.empty() && config_.services[s].name != detail.service) continue;
    json::object service = service_json(s);
    json::array& backends = service["backends"].emplace_array();
    for (std::size_t b = 0; b < backends_[s].size(); ++b) {
      const bool shown =
          !detail.summary || (standings_[s][b].health != Health::kHealthy && ++sick <= StateDetail::kSickBackendsMax);
      if (shown) backends.push_back(backend_json({s, b}));
    }
    services.push_back(std::move(service));
  }
  return services;
}

json::object MonitorCore::state_json(Now now, const StateDetail& detail) const {
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
  state["services"] = services_json(detail);
  json::array& announcements = state["announcements"].emplace_array();
  for (const auto& track : tracks_) announcements.push_back(track->json(now));
  state["strangers"] = strangers_->json();
  return state;
}

}  // namespace anypop::healthmon
