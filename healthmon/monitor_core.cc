// SPDX-License-Identifier: Apache-2.0
// Every event is handled alike: begin() lets time pass, the event changes what is known, finish() decides everything
// anew from what is known and asks for what is missing.
#include "healthmon/monitor_core.h"

#include <algorithm>
#include <utility>

#include "announcement_track.h"
#include "base/text.h"
#include "bird_events.h"
#include "strangers.h"

namespace anypop::healthmon {
namespace {

constexpr auto kLookInterval = std::chrono::seconds(1);
constexpr auto kSettlingLookInterval = std::chrono::milliseconds(100);
constexpr auto kStateInterval = std::chrono::seconds(1);
// A dataplane that answers wrongly is not asked in a tight loop.
constexpr auto kAskAgain = std::chrono::milliseconds(100);
// Later than this, and this process was kept from running.
constexpr auto kLate = std::chrono::milliseconds(50);

using Condition = DataplaneFacts::Condition;

// Every port, if none has a link.
std::string without_link(const std::vector<dataplane_api::PortState>& ports) {
  std::string names;
  for (const dataplane_api::PortState& port : ports) {
    if (port.link_up) return {};
    names += (names.empty() ? "" : ", ") + port.name;
  }
  return names;
}

}  // namespace

MonitorCore::MonitorCore(const PopConfig& config, const StateFiles& state_files, const Dampings& dampings, Now start)
    : config_(config),
      dataplane_(config.monitor, start.steady),
      strangers_(std::make_unique<Strangers>()),
      bird_events_(std::make_unique<BirdEvents>()),
      bird_(absl::UnavailableError("not asked yet")),
      look_at_(start.steady),
      state_at_(start.steady),
      planned_wake_(start.steady) {
  last_answer_ = start.steady;
  facts_.routing.resize(config.announcements.size());
  plan_wanted_.assign(config.services.size(), false);
  for (const ServiceConfig& service : config.services) {
    backends_.emplace_back(service.backends.size(), Backend{BackendProbes(service.probes, service.probes_needed)});
    facts_.backends.emplace_back(service.backends.size());
    standings_.emplace_back(service.backends.size());
    latencies_.emplace_back(service.probes.size());
    plans_.push_back(plan_backends(service, standings_.back(), start.steady));
    backends_unknown_ += service.backends.size();
  }
  for (std::size_t i = 0; i < config.announcements.size(); ++i) {
    tracks_.push_back(
        std::make_unique<AnnouncementTrack>(config, i, state_files[i], i < dampings.size() ? dampings[i] : Damping{}));
  }
}

MonitorCore::~MonitorCore() = default;

void MonitorCore::begin(Now now) {
  const auto late_by = planned_wake_ == SteadyTime::max() ? SteadyTime::duration(0) : now.steady - planned_wake_;
  dataplane_.on_time(now.steady, late_by > kLate ? late_by : SteadyTime::duration(0));
}

Actions MonitorCore::on_time(Now now) {
  begin(now);
  return finish(now);
}

Actions MonitorCore::on_probe(ProbeId id, const ProbeResult& result, Now now) {
  begin(now);
  if (result.ok || result.evidence == Evidence::kAnswered) {
    last_answer_ = now.steady;
    second_opinion_ = false;
  }
  const double latency_s = std::chrono::duration<double>(result.latency).count();
  Latencies& latencies = latencies_[id.service][id.probe];
  const auto* const bound = std::lower_bound(kLatencyBounds.begin(), kLatencyBounds.end(), latency_s);
  ++latencies.counts[static_cast<std::size_t>(bound - kLatencyBounds.begin())];
  latencies.sum_s += latency_s;
  BackendProbes& probes = backends_[id.service][id.backend].probes;
  if (was_lost_on_the_way(id, result, now)) return now.steady < planned_wake_ ? Actions{} : finish(now);
  const bool changed = probes.add(id.probe, result, now.unix_ms);
  if (!changed && now.steady < planned_wake_) return {};
  if (changed && probes.health() == Health::kUnhealthy && all_fell_silent()) {
    ask_again(now);
  } else if (changed) {
    believe(id, now);
  }
  return finish(now);
}

// A probe through the dataplane has gone unanswered, and so have all others, because the dataplane was not there: that
// says nothing about the backend. Without it a restart of the dataplane would take backends away one by one, as their
// probes come due. Of whom nothing is known yet, it is believed when the dataplane is dead, so that a first round ends.
bool MonitorCore::was_lost_on_the_way(ProbeId id, const ProbeResult& result, Now now) const {
  const ProbeConfig& probe = config_.services[id.service].probes[id.probe];
  if (result.ok || result.evidence == Evidence::kAnswered || probe.via != ProbeVia::kDataplane) return false;
  const bool known = backends_[id.service][id.backend].probes.health() != Health::kUnknown;
  const bool dead = dataplane_.facts().condition == Condition::kDead;
  return (known || !dead) && !dataplane_.worked_since(now.steady - result.latency);
}

Actions MonitorCore::on_heartbeat(const absl::StatusOr<dataplane_api::Heartbeat>& heartbeat, Now now) {
  begin(now);
  dataplane_.on_heartbeat(heartbeat, now.steady);
  if (heartbeat.ok() && heartbeat->instance != instance_) {
    instance_ = heartbeat->instance;
    push_wanted_ = true;
    push_not_before_ = state_not_before_ = now.steady;
  }
  return finish(now);
}

Actions MonitorCore::on_dataplane_state(const absl::StatusOr<dataplane_api::State>& state, Now now) {
  begin(now);
  state_pending_ = false;
  state_not_before_ = now.steady + kAskAgain;
  state_at_ = now.steady + kStateInterval;
  dataplane_.on_state(state, now.steady);
  if (state.ok()) {
    no_link_ = without_link(state->ports);
    note_links(state->ports);
    for (auto& backends : facts_.backends) {
      for (BackendFacts& backend : backends) backend.resolved = false;
    }
    for (const dataplane_api::ServiceState& found : state->services) {
      const ServiceConfig* service = config_.find_service(found.name);
      if (service == nullptr) continue;
      auto& facts = facts_.backends[static_cast<std::size_t>(service - config_.services.data())];
      for (const dataplane_api::BackendState& backend : found.backends) {
        for (std::size_t i = 0; i < facts.size(); ++i) {
          if (service->backends[i].name == backend.name) facts[i].resolved = backend.resolved;
        }
      }
    }
    if (!push_pending_ && health_differs(*state)) push_wanted_ = true;
  }
  return finish(now);
}

// One of several is no reason to withdraw: routes and next hops that need it are missed by their own conditions.
void MonitorCore::note_links(const std::vector<dataplane_api::PortState>& ports) {
  for (const dataplane_api::PortState& port : ports) {
    const auto [known, is_new] = links_.try_emplace(port.name, true);
    if (known->second == port.link_up) continue;
    known->second = port.link_up;
    actions_.push_back(Record{{{"event", "link"}, {"port", port.name}, {"up", port.link_up}}});
  }
}

Actions MonitorCore::on_health_pushed(const absl::Status& status, Now now) {
  begin(now);
  push_pending_ = false;
  if (!status.ok()) {
    push_wanted_ = true;
    push_not_before_ = now.steady + kAskAgain;
    if (push_error_ != message(status)) {
      actions_.push_back(
          Note{true, fmt::format("event=health-refused of=dataplane error=\"{}\"", escaped(message(status)))});
    }
  }
  push_error_ = message(status);
  return finish(now);
}

Actions MonitorCore::on_bird(const absl::StatusOr<bgpctl::BirdView>& view, const StateFiles& state_files, Now now) {
  begin(now);
  look_pending_ = false;
  bird_events_->on_look(view, now, actions_);
  bird_asked_ = true;
  bird_ = view;
  look_at_ = now.steady + kLookInterval;
  for (std::size_t i = 0; i < tracks_.size(); ++i) {
    std::optional<bgpctl::AnnouncementStanding> standing;
    if (view.ok() && bgpctl::is_told(config_.announcements[i], *view)) {
      standing = bgpctl::standing(config_.announcements[i], *view);
      // A BIRD that does not answer says nothing new about its routes and sessions.
      facts_.routing[i] = {.sessions = standing->exported_to.size() + standing->not_exported_to.size(),
                           .others = bgpctl::has_others(config_.announcements[i], *view)};
    }
    tracks_[i]->on_found(standing, state_files[i], now);
    if (tracks_[i]->settling(now.steady)) look_at_ = now.steady + kSettlingLookInterval;
  }
  strangers_->on_look(config_, leftover_files_, view, bird_problem(view).empty(), now, actions_);
  return finish(now);
}

Actions MonitorCore::on_set(const SetAnnouncement& set, const bgpctl::SetResult& result,
                            const absl::StatusOr<bgpctl::Level>& state_file, Now now) {
  begin(now);
  tracks_[set.announcement]->on_set(set.level, result, state_file, now, actions_);
  // A command that failed has said enough; one that worked is read back.
  look_at_ = result.status.ok() ? now.steady : std::max(look_at_, now.steady + kLookInterval);
  return finish(now);
}

Actions MonitorCore::on_stranger_set(const std::string& name, const bgpctl::SetResult& result, Now now) {
  begin(now);
  strangers_->on_set(name, result, now, actions_);
  if (result.status.ok()) look_at_ = now.steady;
  return finish(now);
}

Actions MonitorCore::on_holds(const Holds& holds, Now now) {
  begin(now);
  holds_read_ = true;
  for (std::size_t i = 0; i < tracks_.size(); ++i) tracks_[i]->on_hold(holds[i], now, actions_);
  return finish(now);
}

Actions MonitorCore::on_forgiven(std::size_t announcement, Now now) {
  begin(now);
  tracks_[announcement]->forgive(actions_);
  return finish(now);
}

Actions MonitorCore::finish(Now now) {
  plan(now);
  note_dataplane(actions_);
  check_first_round(actions_);
  for (const auto& track : tracks_) track->act(facts_, now, actions_);
  ask(now, actions_);
  planned_wake_ = wake_time();
  return std::exchange(actions_, {});
}

void MonitorCore::note_dataplane(Actions& actions) {
  facts_.dataplane = dataplane_.facts();
  facts_.dataplane.no_link = no_link_;
  if (facts_.dataplane.restarting && !noted_restarting_) {
    actions.push_back(Record{{{"event", "dataplane-restart"}, {"planned", true}}});
  }
  noted_restarting_ = facts_.dataplane.restarting;
  if (facts_.dataplane.condition == noted_condition_) return;
  noted_condition_ = facts_.dataplane.condition;
  actions.push_back(Record{
      {{"event", "dataplane"}, {"alive", noted_condition_ == Condition::kAlive}, {"cause", facts_.dataplane.cause}}});
}

std::string MonitorCore::first_round_missing() const {
  if (backends_unknown_ > 0) return fmt::format("{} backends have no verdict yet", backends_unknown_);
  if (facts_.dataplane.condition == Condition::kUnknown) return "the dataplane has not answered yet";
  if (facts_.dataplane.condition == Condition::kAlive && !dataplane_.state_asked()) {
    return "the dataplane has not told its next hops yet";
  }
  if (!bird_asked_) return "BIRD has not been asked yet";
  return holds_read_ ? "" : "the holds have not been read yet";
}

void MonitorCore::check_first_round(Actions& actions) {
  if (facts_.first_round_done) return;
  facts_.first_round_missing = first_round_missing();
  facts_.first_round_done = facts_.first_round_missing.empty();
  if (facts_.first_round_done) actions.push_back(Record{{{"event", "first-round"}, {"complete", true}}});
}

void MonitorCore::ask(Now now, Actions& actions) {
  if (!look_pending_ && now.steady >= look_at_) {
    look_pending_ = true;
    actions.push_back(LookAtBird{});
  }
  if (facts_.dataplane.condition != Condition::kAlive) return;
  const bool stale = !dataplane_.state_is_current() && now.steady >= state_not_before_;
  if (!state_pending_ && (stale || now.steady >= state_at_)) {
    state_pending_ = true;
    actions.push_back(ReadDataplaneState{});
  }
  if (push_wanted_ && !push_pending_ && now.steady >= push_not_before_) {
    push_wanted_ = false;
    dataplane_api::HealthUpdate update = health_update();
    if (update.backends.empty()) return;
    push_pending_ = true;
    actions.push_back(PushHealth{std::move(update)});
  }
}

SteadyTime MonitorCore::wake_time() const {
  SteadyTime wake = dataplane_.deadline();
  for (const auto& track : tracks_) wake = std::min(wake, track->wake());
  for (const ServicePlan& plan : plans_) wake = std::min(wake, plan.next_change);
  if (!look_pending_) wake = std::min(wake, look_at_);
  if (facts_.dataplane.condition != Condition::kAlive) return wake;
  if (!state_pending_) wake = std::min(wake, dataplane_.state_is_current() ? state_at_ : state_not_before_);
  if (push_wanted_ && !push_pending_) wake = std::min(wake, push_not_before_);
  return wake;
}

Milliseconds MonitorCore::probe_interval(ProbeId id) const {
  return backends_[id.service][id.backend].probes.interval(id.probe);
}

const Decision& MonitorCore::decision(std::size_t announcement) const { return tracks_[announcement]->decision(); }

}  // namespace anypop::healthmon
