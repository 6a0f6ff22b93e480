// SPDX-License-Identifier: Apache-2.0
// MonitorCore's part about another configuration: everything is found again by its name, and what did not change goes
// on with its counts, holds and hold-downs.
#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "announcement_track.h"
#include "base/text.h"
#include "healthmon/monitor_core.h"
#include "strangers.h"

namespace anypop::healthmon {
namespace {

template <typename T>
std::optional<std::size_t> index_of(const std::vector<T>& things, std::string_view name) {
  const auto at = std::find_if(things.begin(), things.end(), [&](const T& thing) { return thing.name == name; });
  if (at == things.end()) return std::nullopt;
  return static_cast<std::size_t>(at - things.begin());
}

// A backend with another address is another server.
std::optional<std::size_t> same_backend(const ServiceConfig& before, const BackendConfig& backend) {
  const auto at = index_of(before.backends, backend.name);
  if (!at || before.backends[*at].address != backend.address) return std::nullopt;
  return at;
}

std::optional<std::size_t> same_probe(const ServiceConfig& before, const ProbeConfig& probe) {
  return index_of(before.probes, probe.name);
}

}  // namespace

void MonitorCore::take_services(const PopConfig& before) {
  const auto backends = std::exchange(backends_, {});
  const auto facts = std::exchange(facts_.backends, {});
  const auto standings = std::exchange(standings_, {});
  const auto latencies = std::exchange(latencies_, {});
  const auto plans = std::exchange(plans_, {});
  backends_unknown_ = 0;
  plan_wanted_.assign(config_.services.size(), true);
  for (const ServiceConfig& service : config_.services) {
    backends_.emplace_back(service.backends.size(), Backend{BackendProbes(service.probes, service.probes_needed)});
    // The dataplane says within a second whether it has next hops for the new ones.
    facts_.backends.emplace_back(service.backends.size(), BackendFacts{.resolved = true});
    standings_.emplace_back(service.backends.size());
    latencies_.emplace_back(service.probes.size());
    plans_.emplace_back().backends.resize(service.backends.size());
    backends_unknown_ += service.backends.size();
    const auto old = index_of(before.services, service.name);
    if (!old) continue;
    const ServiceConfig& was = before.services[*old];
    plans_.back().panic = plans[*old].panic;
    for (std::size_t p = 0; p < service.probes.size(); ++p) {
      if (const auto at = same_probe(was, service.probes[p])) latencies_.back()[p] = latencies[*old][*at];
    }
    for (std::size_t b = 0; b < service.backends.size(); ++b) {
      const auto at = same_backend(was, service.backends[b]);
      if (!at) continue;
      Backend& backend = backends_.back()[b];
      backend.probes.carry_over(backends[*old][*at].probes, was.probes);
      backend.drain = backends[*old][*at].drain;
      backend.last_change_unix_ms = backends[*old][*at].last_change_unix_ms;
      facts_.backends.back()[b] = facts[*old][*at];
      standings_.back()[b] = standings[*old][*at];
      if (standings_.back()[b].health != Health::kUnknown) --backends_unknown_;
    }
  }
}

void MonitorCore::take_announcements(const PopConfig& before, const StateFiles& state_files, const Dampings& dampings) {
  auto tracks = std::exchange(tracks_, {});
  const auto routing = std::exchange(facts_.routing, std::vector<RoutingFacts>(config_.announcements.size()));
  for (std::size_t i = 0; i < config_.announcements.size(); ++i) {
    const auto old = index_of(before.announcements, config_.announcements[i].name);
    if (!old) {
      tracks_.push_back(std::make_unique<AnnouncementTrack>(config_, i, state_files[i], dampings[i]));
      continue;
    }
    tracks_.push_back(std::move(tracks[*old]));
    tracks_.back()->move_to(i);
    facts_.routing[i] = routing[*old];  // until BIRD is asked, which is at once
  }
}

Actions MonitorCore::on_reload(const PopConfig& before, const StateFiles& state_files, const Dampings& dampings,
                               Now now) {
  dataplane_.configure(config_.monitor);
  take_services(before);
  take_announcements(before, state_files, dampings);
  begin(now);
  strangers_->forget_known(config_);
  for (const AnnouncementConfig& was : before.announcements) {
    if (config_.find_announcement(was.name) == nullptr) strangers_->add(was, actions_);
  }
  if (!look_pending_) look_at_ = now.steady;
  push_wanted_ = true;
  push_not_before_ = now.steady;
  return finish(now);
}

}  // namespace anypop::healthmon
