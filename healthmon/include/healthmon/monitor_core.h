// SPDX-License-Identifier: Apache-2.0
// The monitor without its I/O: what happened goes in, what to do comes out. Pure: no clock, no socket, no file. One
// thread. Each call is O(services x backends) at most, and O(1) for the usual probe result that changes nothing.
//
// Whoever drives it carries out the actions of each call in their order and before anything else: a verdict and the
// command that follows from it are one step. It calls on_time() when next_wake() has come. Answers to LookAtBird,
// ReadDataplaneState, PushHealth and SetAnnouncement are always given, errors included; there is at most one of each of
// the first three at a time, and two SetAnnouncement for one announcement.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

#include "base/config.h"
#include "bgpctl/announcer.h"
#include "bgpctl/holds.h"
#include "dataplane_api/messages.h"
#include "healthmon/backend_drain.h"
#include "healthmon/backend_policy.h"
#include "healthmon/backend_probes.h"
#include "healthmon/dataplane_condition.h"
#include "healthmon/policy.h"
#include "healthmon/probe_result.h"
#include "healthmon/time.h"

namespace anypop {
class MetricsPage;
}

namespace anypop::healthmon {

struct SetAnnouncement {  // Announcer::set(), then on_set()
  std::size_t announcement = 0;
  bgpctl::Level level = bgpctl::Level::kWithdrawn;
};
struct WithdrawStranger {  // Announcer::set(), then on_stranger_set(); it is not in the configuration
  AnnouncementConfig announcement;
};
struct LookAtBird {};          // Announcer::look(), then on_bird()
struct ReadDataplaneState {};  // GET /v1/state, then on_dataplane_state()
struct PushHealth {            // PUT /v1/health, then on_health_pushed()
  dataplane_api::HealthUpdate update;
};
struct SaveDamping {  // to the file that Damping is read from at the next start; nobody waits for it
  std::size_t announcement = 0;
  Damping damping;
};
struct Record {  // a line of the event log
  boost::json::object event;
};
struct Note {  // a line of the log only
  bool warning = false;
  std::string text;
};
using Action = std::variant<SetAnnouncement, WithdrawStranger, LookAtBird, ReadDataplaneState, PushHealth, SaveDamping,
                            Record, Note>;
using Actions = std::vector<Action>;

// By index in PopConfig::services and its backends.
struct BackendId {
  std::size_t service = 0;
  std::size_t backend = 0;
};

// One of the probes of that backend.
struct ProbeId {
  std::size_t service = 0;
  std::size_t backend = 0;
  std::size_t probe = 0;
  operator BackendId() const { return {service, backend}; }
};

// By index in PopConfig::announcements, as read_state_file() and load_hold() say.
using StateFiles = std::vector<absl::StatusOr<bgpctl::Level>>;
using Holds = std::vector<absl::StatusOr<std::optional<bgpctl::Hold>>>;
using Dampings = std::vector<Damping>;

// Upper bounds of anypop_probe_duration_seconds.
inline constexpr std::array<double, 12> kLatencyBounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                          0.05,   0.1,   0.25,   0.5,   1,    2.5};

class AnnouncementTrack;
class BirdEvents;
class Strangers;

// How much state_json() says about services and their backends.
struct StateDetail {
  std::string service = {};  // only this one; empty: all
  bool summary = false;      // of the backends only some that are not healthy: kSickBackendsMax of the PoP
  static constexpr std::size_t kSickBackendsMax = 40;
};

class MonitorCore {
 public:
  // `config` must outlive it. What is announced is taken from the state files. `dampings`: by index in
  // PopConfig::announcements; what is missing is new.
  MonitorCore(const PopConfig& config, const StateFiles& state_files, const Dampings& dampings, Now start);
  ~MonitorCore();
  MonitorCore(const MonitorCore&) = delete;
  MonitorCore& operator=(const MonitorCore&) = delete;

  Actions on_time(Now now);
  Actions on_probe(ProbeId id, const ProbeResult& result, Now now);
  // Errors as in DataplaneCondition::on_heartbeat().
  Actions on_heartbeat(const absl::StatusOr<dataplane_api::Heartbeat>& heartbeat, Now now);
  Actions on_dataplane_state(const absl::StatusOr<dataplane_api::State>& state, Now now);
  Actions on_health_pushed(const absl::Status& status, Now now);
  // The state files are those after the look, or after the command.
  Actions on_bird(const absl::StatusOr<bgpctl::BirdView>& view, const StateFiles& state_files, Now now);
  Actions on_set(const SetAnnouncement& set, const bgpctl::SetResult& result,
                 const absl::StatusOr<bgpctl::Level>& state_file, Now now);
  Actions on_stranger_set(const std::string& name, const bgpctl::SetResult& result, Now now);
  // Before every on_bird(): the names of state files of ours that the configuration has no announcement for, and that
  // say something else than "withdrawn".
  void on_leftover_files(std::vector<std::string> names) { leftover_files_ = std::move(names); }
  Actions on_holds(const Holds& holds, Now now);
  // What `config` of the constructor refers to says something else now; `before` is what it said. What has kept its
  // name keeps its verdicts, counts, orders and hold-downs; a new service is waited for, as at a start. An announcement
  // that is gone is withdrawn. `dampings` as in the constructor.
  Actions on_reload(const PopConfig& before, const StateFiles& state_files, const Dampings& dampings, Now now);
  // The connection to the dataplane was made anew: no answer comes to what was asked on the old one.
  void forget_questions() { state_pending_ = push_pending_ = false; }
  // The file with the announcement's damping is gone: somebody ended the hold-down and the latch.
  Actions on_forgiven(std::size_t announcement, Now now);
  // What load_drains() says. An error leaves the orders that are known in force.
  Actions on_drains(const absl::StatusOr<std::vector<DrainOrder>>& drains, Now now);

  SteadyTime next_wake() const { return planned_wake_; }
  // From the start of this probe to the start of the next: shorter while a change of health is under way.
  Milliseconds probe_interval(ProbeId id) const;

  bool first_round_done() const { return facts_.first_round_done; }
  const Decision& decision(std::size_t announcement) const;
  Health health(BackendId id) const { return standings_[id.service][id.backend].health; }
  // In a line: how far the first full round is, or how many are announced.
  std::string summary() const;
  // The body of GET /v1/state: dataplane, bird, services, announcements.
  boost::json::object state_json(Now now, const StateDetail& detail = {}) const;
  std::size_t backend_count() const;
  // Adds every family of the monitor's metrics.
  void add_metrics(MetricsPage& page, Now now) const;

 private:
  struct Backend {
    BackendProbes probes;
    std::optional<DrainOrder> drain;
    std::int64_t last_change_unix_ms = 0;
  };

  void begin(Now now);  // of every event
  Actions finish(Now now);
  bool was_lost_on_the_way(ProbeId id, const ProbeResult& result, Now now) const;
  void believe(BackendId id, Now now);
  bool all_fell_silent() const;
  void ask_again(Now now);
  void take_services(const PopConfig& before);
  void take_announcements(const PopConfig& before, const StateFiles& state_files, const Dampings& dampings);
  void plan(Now now);
  void note_links(const std::vector<dataplane_api::PortState>& ports);
  void note_dataplane(Actions& actions);
  void check_first_round(Actions& actions);
  std::string first_round_missing() const;
  void ask(Now now, Actions& actions);
  SteadyTime wake_time() const;
  dataplane_api::HealthUpdate health_update() const;
  bool health_differs(const dataplane_api::State& state) const;
  void add_backend_metrics(MetricsPage& page) const;
  void add_probe_metrics(MetricsPage& page) const;
  void add_watermark_metrics(MetricsPage& page) const;
  void add_guard_metrics(MetricsPage& page, const std::vector<boost::json::object>& states) const;
  void add_announcement_metrics(MetricsPage& page, Now now) const;
  boost::json::object bird_json() const;
  boost::json::object backend_json(BackendId id) const;
  boost::json::object service_json(std::size_t service) const;
  boost::json::array services_json(const StateDetail& detail) const;
  unsigned healthy_percent(std::size_t service) const;

  const PopConfig& config_;
  Facts facts_;
  DataplaneCondition dataplane_;
  std::vector<std::vector<Backend>> backends_;
  std::vector<std::vector<BackendStanding>> standings_;  // as believed
  std::vector<ServicePlan> plans_;
  std::vector<bool> plan_wanted_;  // by service
  struct Latencies {
    std::array<std::uint64_t, kLatencyBounds.size() + 1> counts{};
    double sum_s = 0;
  };
  std::vector<std::vector<Latencies>> latencies_;  // [service][probe]
  std::vector<DrainOrder> drains_;
  std::string drains_error_;
  SteadyTime last_answer_;       // of any backend to any probe, good or bad
  bool second_opinion_ = false;  // has been asked for since then
  std::vector<std::unique_ptr<AnnouncementTrack>> tracks_;
  std::unique_ptr<Strangers> strangers_;
  std::vector<std::string> leftover_files_;
  std::size_t backends_unknown_ = 0;
  Actions actions_;  // of the event being handled

  std::string no_link_;                // as the dataplane said last
  std::map<std::string, bool> links_;  // by port
  std::unique_ptr<BirdEvents> bird_events_;
  bool bird_asked_ = false;
  absl::StatusOr<bgpctl::BirdView> bird_;
  bool holds_read_ = false;

  bool look_pending_ = false;
  SteadyTime look_at_;
  bool state_pending_ = false;
  SteadyTime state_at_;          // when it is due by age
  SteadyTime state_not_before_;  // not sooner, even if it is known to be stale
  bool push_pending_ = false;
  bool push_wanted_ = false;
  SteadyTime push_not_before_;
  std::string push_error_;
  std::string pushed_instance_;
  std::string instance_;
  DataplaneFacts::Condition noted_condition_ = DataplaneFacts::Condition::kUnknown;
  bool noted_restarting_ = false;
  SteadyTime planned_wake_ = SteadyTime::max();
};

}  // namespace anypop::healthmon
