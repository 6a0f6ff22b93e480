// SPDX-License-Identifier: Apache-2.0
// MonitorCore's part about backends: what is believed of them, what operators ordered, and what the dataplane is told.
#include <algorithm>
#include <utility>

#include "base/text.h"
#include "healthmon/monitor_core.h"

namespace anypop::healthmon {

// The announcements count what may get new flows, so that a drained backend is no capacity.
void MonitorCore::believe(BackendId id, Now now) {
  Backend& backend = backends_[id.service][id.backend];
  BackendStanding& standing = standings_[id.service][id.backend];
  const ServiceConfig& service = config_.services[id.service];
  plan_wanted_[id.service] = true;
  const Health health = backend.probes.health();
  if (health != standing.health) {
    if (standing.health == Health::kUnknown) --backends_unknown_;
    // What was never healthy has not fallen, and is no victim of a silence that may be ours.
    if (health == Health::kUnhealthy) {
      standing.down_since = standing.health == Health::kHealthy ? now.steady : SteadyTime::min();
    }
    if (health == Health::kHealthy && standing.health == Health::kUnhealthy) standing.back_since = now.steady;
    standing.health = health;
    backend.last_change_unix_ms = now.unix_ms;
    actions_.push_back(Record{{{"event", "backend"},
                               {"service", service.name},
                               {"backend", service.backends[id.backend].name},
                               {"healthy", health == Health::kHealthy},
                               {"cause", backend.probes.cause()}}});
  }
  const bool drained = standing.drained && health == Health::kHealthy;
  facts_.backends[id.service][id.backend].health = drained ? Health::kUnhealthy : health;
}

// Nobody has answered anything of late, not even with a refusal: that is our own deafness as likely as the death of
// everything. One backend alone has no such ambiguity.
bool MonitorCore::all_fell_silent() const {
  if (!config_.monitor.second_opinion || second_opinion_ || !facts_.first_round_done) return false;
  std::size_t fell = 0;
  for (std::size_t s = 0; s < backends_.size(); ++s) {
    for (std::size_t b = 0; b < backends_[s].size(); ++b) {
      if (!backends_[s][b].probes.failed_in_silence()) return false;
      const BackendStanding& standing = standings_[s][b];
      if (standing.health == Health::kHealthy || standing.down_since > last_answer_) ++fell;
    }
  }
  return fell > 1;
}

// Once, so that the doubt lasts no longer than a second verdict takes.
void MonitorCore::ask_again(Now now) {
  second_opinion_ = true;
  std::int64_t asked = 0;
  for (std::size_t s = 0; s < backends_.size(); ++s) {
    for (std::size_t b = 0; b < backends_[s].size(); ++b) {
      const BackendStanding& standing = standings_[s][b];
      if (standing.health != Health::kHealthy && standing.down_since <= last_answer_) continue;
      backends_[s][b].probes.forgive();
      believe({s, b}, now);
      standings_[s][b].back_since.reset();  // it was never away
      ++asked;
    }
  }
  actions_.push_back(Record{{{"event", "second-opinion"},
                             {"backends", asked},
                             {"cause",
                              "no backend of any service has answered of late: this host may be deaf, so each "
                              "is asked again before it is believed"}}});
}

void MonitorCore::plan(Now now) {
  for (std::size_t s = 0; s < plans_.size(); ++s) {
    if (!plan_wanted_[s] && now.steady < plans_[s].next_change) continue;
    plan_wanted_[s] = false;
    ServicePlan made = plan_backends(config_.services[s], standings_[s], now.steady);
    if (made.panic != plans_[s].panic) {
      actions_.push_back(Record{{{"event", "panic"},
                                 {"service", config_.services[s].name},
                                 {"panic", made.panic},
                                 {"panic_percent", config_.services[s].panic_percent},
                                 {"cause", made.panic ? "too few backends are healthy: all are used"
                                                      : "enough backends are healthy again"}}});
    }
    if (made.backends != plans_[s].backends) {
      push_wanted_ = true;
      push_not_before_ = now.steady;
    }
    plans_[s] = std::move(made);
  }
}

Actions MonitorCore::on_drains(const absl::StatusOr<std::vector<DrainOrder>>& drains, Now now) {
  const std::string error(message(drains.status()));
  const bool news = drains.ok() ? *drains != drains_ : error != drains_error_;
  if (!news && error == drains_error_) return {};
  begin(now);
  drains_error_ = error;
  if (!drains.ok()) {
    actions_.push_back(Note{true, fmt::format("event=drains-unreadable error=\"{}\"", escaped(error))});
    return finish(now);
  }
  drains_ = *drains;
  for (std::size_t s = 0; s < backends_.size(); ++s) {
    for (std::size_t b = 0; b < backends_[s].size(); ++b) {
      const auto order = std::find_if(drains_.begin(), drains_.end(), [&](const DrainOrder& o) {
        return o.service == config_.services[s].name && o.backend == config_.services[s].backends[b].name;
      });
      const std::optional<DrainOrder> wanted = order == drains_.end() ? std::nullopt : std::optional(*order);
      if (wanted == backends_[s][b].drain) continue;
      const DrainOrder& about = wanted ? *wanted : *backends_[s][b].drain;
      actions_.push_back(Record{{{"event", wanted ? "drain-backend" : "undrain-backend"},
                                 {"service", about.service},
                                 {"backend", about.backend},
                                 {"who", about.who},
                                 {"reason", about.reason}}});
      backends_[s][b].drain = wanted;
      standings_[s][b].drained = wanted.has_value();
      // After work on it a server's caches are as cold as after a failure.
      if (!wanted) standings_[s][b].back_since = now.steady;
      believe({s, b}, now);
    }
  }
  return finish(now);
}

// What has no verdict yet is not named, and keeps the health that the dataplane knows.
dataplane_api::HealthUpdate MonitorCore::health_update() const {
  dataplane_api::HealthUpdate update;
  for (std::size_t s = 0; s < plans_.size(); ++s) {
    const ServiceConfig& service = config_.services[s];
    for (std::size_t b = 0; b < plans_[s].backends.size(); ++b) {
      const BackendUse& use = plans_[s].backends[b];
      if (!use.known) continue;
      update.backends.push_back({service.name, service.backends[b].name, use.used, use.weight_permille});
    }
  }
  return update;
}

bool MonitorCore::health_differs(const dataplane_api::State& state) const {
  for (const dataplane_api::ServiceState& found : state.services) {
    const ServiceConfig* service = config_.find_service(found.name);
    if (service == nullptr) continue;
    const std::vector<BackendUse>& uses = plans_[static_cast<std::size_t>(service - config_.services.data())].backends;
    for (const dataplane_api::BackendState& backend : found.backends) {
      for (std::size_t i = 0; i < uses.size(); ++i) {
        if (service->backends[i].name != backend.name || !uses[i].known) continue;
        if (uses[i].used != backend.healthy || uses[i].weight_permille != backend.weight_permille) return true;
      }
    }
  }
  return false;
}

}  // namespace anypop::healthmon
