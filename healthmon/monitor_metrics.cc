// SPDX-License-Identifier: Apache-2.0
// GET /metrics: what the monitor knows, as Prometheus reads it.
#include <boost/json/array.hpp>

#include "announcement_track.h"
#include "dataplane_api/metrics.h"
#include "healthmon/monitor_core.h"
#include "strangers.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

double number(bool value) { return value ? 1 : 0; }

double level_number(bgpctl::Level level) {
  switch (level) {
    case bgpctl::Level::kAnnounced: return 2;
    case bgpctl::Level::kDrained: return 1;
    case bgpctl::Level::kWithdrawn: return 0;
  }
  return 0;
}

// 1 for true, 0 for false; a family leaves out what is not known.
void add_if_known(MetricsPage& page, const std::string& name, const json::value& value) {
  if (value.is_bool()) page.add({{"announcement", name}}, number(value.get_bool()));
}

}  // namespace

void MonitorCore::add_backend_metrics(MetricsPage& page) const {
  const auto each = [&](const auto& value) {
    for (std::size_t s = 0; s < backends_.size(); ++s) {
      for (std::size_t b = 0; b < backends_[s].size(); ++b) {
        page.add({{"service", config_.services[s].name}, {"backend", config_.services[s].backends[b].name}},
                 value(s, b));
      }
    }
  };
  page.gauge("anypop_backend_healthy", "1: the probes say that the backend works.");
  each([&](auto s, auto b) { return number(standings_[s][b].health == Health::kHealthy); });
  page.gauge("anypop_backend_used", "1: the dataplane may use the backend.");
  each([&](auto s, auto b) { return number(plans_[s].backends[b].used); });
  page.gauge("anypop_backend_weight_ratio", "Share of its configured weight that the backend gets now.");
  each([&](auto s, auto b) { return plans_[s].backends[b].weight_permille / 1000.0; });
  page.gauge("anypop_backend_drained", "1: an operator's order keeps new flows away from the backend.");
  each([&](auto s, auto b) { return number(standings_[s][b].drained); });
  page.gauge("anypop_backend_resolved", "1: the dataplane has a next hop for the backend.");
  each([&](auto s, auto b) { return number(facts_.backends[s][b].resolved); });
}

void MonitorCore::add_probe_metrics(MetricsPage& page) const {
  const auto each = [&](const auto& add) {
    for (std::size_t s = 0; s < backends_.size(); ++s) {
      const ServiceConfig& service = config_.services[s];
      for (std::size_t b = 0; b < backends_[s].size(); ++b) {
        for (std::size_t p = 0; p < service.probes.size(); ++p) {
          add(service.name, service.backends[b].name, service.probes[p].name, backends_[s][b].probes.records()[p]);
        }
      }
    }
  };
  page.counter("anypop_probe_results_total", "Probes that have ended, by how.");
  each([&](const auto& service, const auto& backend, const auto& probe, const ProbeRecord& record) {
    const auto add = [&](const char* result, std::uint64_t count) {
      page.add({{"service", service}, {"backend", backend}, {"probe", probe}, {"result", result}},
               static_cast<double>(count));
    };
    add("success", record.succeeded);
    add("failure", record.failed);
  });
  page.gauge("anypop_probe_latency_seconds", "From the start of the last probe to its result.");
  each([&](const auto& service, const auto& backend, const auto& probe, const ProbeRecord& record) {
    page.add({{"service", service}, {"backend", backend}, {"probe", probe}},
             std::chrono::duration<double>(record.last.latency).count());
  });
  page.histogram("anypop_probe_duration_seconds", "From the start of a probe to its result, over all backends.");
  for (std::size_t s = 0; s < latencies_.size(); ++s) {
    for (std::size_t p = 0; p < latencies_[s].size(); ++p) {
      page.add({{"service", config_.services[s].name}, {"probe", config_.services[s].probes[p].name}}, kLatencyBounds,
               latencies_[s][p].counts, latencies_[s][p].sum_s);
    }
  }
}

void MonitorCore::add_announcement_metrics(MetricsPage& page, Now now) const {
  std::vector<json::object> states;
  for (const auto& track : tracks_) states.push_back(track->json(now));
  const auto each = [&](const auto& add) {
    for (std::size_t i = 0; i < states.size(); ++i) add(config_.announcements[i].name, states[i]);
  };
  page.gauge("anypop_announcement_intended", "1: the monitor wants the announcement announced.");
  for (std::size_t i = 0; i < tracks_.size(); ++i) {
    page.add({{"announcement", config_.announcements[i].name}}, number(tracks_[i]->decision().announced()));
  }
  page.gauge("anypop_announcement_level", "Wanted: 2 announced, 1 drained (less attractive), 0 withdrawn.");
  for (std::size_t i = 0; i < tracks_.size(); ++i) {
    page.add({{"announcement", config_.announcements[i].name}}, level_number(tracks_[i]->decision().level));
  }
  page.gauge("anypop_announcement_deserved", "1: health alone would announce it now, whatever is ordered.");
  for (std::size_t i = 0; i < tracks_.size(); ++i) {
    page.add({{"announcement", config_.announcements[i].name}},
             number(tracks_[i]->decision().deserved != bgpctl::Level::kWithdrawn));
  }
  page.gauge("anypop_announcement_in_table", "1: the announcement is in BIRD's table.");
  each([&](const auto& name, const json::object& state) { add_if_known(page, name, state.at("in_table")); });
  page.gauge("anypop_announcement_exported_sessions", "BGP sessions that the whole announcement is exported to.");
  each([&](const auto& name, const json::object& state) {
    page.add({{"announcement", name}}, static_cast<double>(state.at("exported_to").as_array().size()));
  });
  page.gauge("anypop_announcement_problem",
             "1: what is intended is not what is found, and a command cannot repair it.");
  each([&](const auto& name, const json::object& state) {
    page.add({{"announcement", name}}, number(!state.at("problem").is_null()));
  });
  page.gauge("anypop_announcement_hold_down_seconds", "Until health alone may announce again.");
  each([&](const auto& name, const json::object& state) {
    page.add({{"announcement", name}},
             static_cast<double>(state.at("hold_down_remaining_ms").to_number<std::int64_t>()) / 1000);
  });
  page.gauge("anypop_announcement_hold", "1: an operator's order of this kind is in force.");
  each([&](const auto& name, const json::object& state) {
    if (!state.at("hold").is_object()) return;
    const json::string& kind = state.at("hold").at("kind").as_string();
    page.add({{"announcement", name}, {"kind", {kind.data(), kind.size()}}}, 1);
  });
  add_guard_metrics(page, states);
  page.gauge("anypop_strangers", "Announcements in BIRD that pop.yaml has no more, not confirmed to be withdrawn.");
  page.add({}, static_cast<double>(strangers_->count()));
}

// What a fault costs an announcement, and what stands between it and the next one.
void MonitorCore::add_guard_metrics(MetricsPage& page, const std::vector<json::object>& states) const {
  const auto each = [&](const char* key) {
    for (std::size_t i = 0; i < states.size(); ++i) {
      const json::value* value = states[i].if_contains(key);
      if (value == nullptr) continue;
      if (value->is_number()) page.add({{"announcement", config_.announcements[i].name}}, value->to_number<double>());
      add_if_known(page, config_.announcements[i].name, *value);
    }
  };
  page.gauge("anypop_announcement_latched",
             "1: it has flapped so often that it stays out until somebody announces it.");
  each("latched");
  page.gauge("anypop_announcement_flap_penalty",
             "As of route-flap damping (RFC 2439): 1000 a withdrawal, halved by time.");
  each("flap_penalty");
  page.counter("anypop_announcement_flaps_total", "Withdrawals and drains by health.");
  each("flaps");
  page.counter("anypop_announcement_drift_total", "Differences to what was intended that nobody here had made.");
  each("drifts");
  page.gauge("anypop_announcement_kept_last", "1: a fault would take it out, but nobody else announces it.");
  each("kept_last");
  page.gauge("anypop_announcement_others_announce", "1: BIRD knows routes of other PoPs for it.");
  each("others_announce");
  page.gauge("anypop_announcement_kept_without_monitor",
             "1: if the monitor is lost for good, it stays announced; 0: it is withdrawn.");
  for (const AnnouncementConfig& announcement : config_.announcements) {
    page.add({{"announcement", announcement.name}}, number(announcement.if_monitor_lost == MonitorLost::kKeep));
  }
}

// What the healthy share is measured against, for each service that an announcement needs.
void MonitorCore::add_watermark_metrics(MetricsPage& page) const {
  const auto each = [&](unsigned AnnouncementConfig::*percent) {
    for (const AnnouncementConfig& announcement : config_.announcements) {
      if (announcement.*percent == 0) continue;
      for (const std::string& service : announcement.services) {
        page.add({{"announcement", announcement.name}, {"service", service}}, announcement.*percent / 100.0);
      }
    }
  };
  page.gauge("anypop_service_withdraw_below_ratio",
             "Healthy share of the service's weight below which the announcement is withdrawn.");
  each(&AnnouncementConfig::min_healthy_percent);
  page.gauge("anypop_service_drain_below_ratio",
             "Healthy share of the service's weight below which the announcement is drained, where it is.");
  each(&AnnouncementConfig::drain_below_percent);
}

void MonitorCore::add_metrics(MetricsPage& page, Now now) const {
  page.gauge("anypop_healthmon_first_round_complete", "1: everything has been asked once, so that health decides.");
  page.add({}, number(facts_.first_round_done));
  page.gauge("anypop_healthmon_second_opinion",
             "1: every backend fell silent at once and is being asked again before it is believed.");
  page.add({}, number(second_opinion_));
  page.gauge("anypop_dataplane_up", "1: the dataplane answers and every worker turns.");
  page.add({}, number(facts_.dataplane.condition == DataplaneFacts::Condition::kAlive));
  page.gauge("anypop_bird_up", "1: BIRD answers on its control socket.");
  page.add({}, number(bird_.ok()));
  page.gauge("anypop_bird_session_up", "1: the BGP session is established.");
  if (bird_.ok()) {
    for (const auto& [name, session] : bird_->sessions) page.add({{"session", name}}, number(session.established));
  }
  page.gauge("anypop_service_panic", "1: too few backends are healthy, so that all of them are used.");
  for (std::size_t s = 0; s < plans_.size(); ++s) {
    page.add({{"service", config_.services[s].name}}, number(plans_[s].panic));
  }
  page.gauge("anypop_service_healthy_ratio", "Share of the service's backend weight that is healthy.");
  for (std::size_t s = 0; s < backends_.size(); ++s) {
    double healthy = 0;
    double all = 0;
    for (std::size_t b = 0; b < backends_[s].size(); ++b) {
      const double weight = config_.services[s].backends[b].weight;
      all += weight;
      if (standings_[s][b].health == Health::kHealthy) healthy += weight;
    }
    page.add({{"service", config_.services[s].name}}, all == 0 ? 0 : healthy / all);
  }
  add_watermark_metrics(page);
  add_announcement_metrics(page, now);
  add_backend_metrics(page);
  add_probe_metrics(page);
}

}  // namespace anypop::healthmon
