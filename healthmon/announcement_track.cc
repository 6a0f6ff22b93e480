// SPDX-License-Identifier: Apache-2.0
#include "announcement_track.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <boost/json/array.hpp>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

constexpr auto kRetry = std::chrono::seconds(1);
// BIRD answers before a protocol has gone all the way up or down.
constexpr auto kSettle = std::chrono::milliseconds(300);
// A session that is only starting, or an export on its way, is no problem worth a line.
constexpr auto kProblemPatience = std::chrono::seconds(6);

using bgpctl::Level;
using bgpctl::level_name;

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

json::array list(const std::vector<std::string>& values) {
  json::array result;
  for (const std::string& value : values) result.emplace_back(value);
  return result;
}

std::optional<Level> level_of(const absl::StatusOr<Level>& state_file) {
  return state_file.ok() ? std::optional(*state_file) : std::nullopt;
}

}  // namespace

AnnouncementTrack::AnnouncementTrack(const PopConfig& config, std::size_t index,
                                     const absl::StatusOr<Level>& state_file, const Damping& damping)
    : config_(config), index_(index), found_{.state_file = level_of(state_file)}, confirmed_(state_file.ok()) {
  decision_.level = decision_.memory.level = level_of(state_file).value_or(Level::kWithdrawn);
  decision_.memory.damping = damping;
  decision_.as_found = true;
  decision_.cause = "as found at the start";
}

void AnnouncementTrack::on_hold(const absl::StatusOr<std::optional<bgpctl::Hold>>& hold, Now now, Actions& actions) {
  if (!hold.ok()) {
    if (hold_error_ != message(hold.status())) {
      hold_error_ = message(hold.status());
      actions.push_back(Record{{{"event", "hold-file"},
                                {"announcement", announcement().name},
                                {"readable", false},
                                {"cause", hold_error_}}});
    }
    return;
  }
  if (!std::exchange(hold_error_, {}).empty()) {
    actions.push_back(
        Record{{{"event", "hold-file"}, {"announcement", announcement().name}, {"readable", true}, {"cause", ""}}});
  }
  hold_known_ = true;
  if (hold_ && !*hold && hold_->expires_unix_ms && *hold_->expires_unix_ms <= now.unix_ms) {
    // Placing and releasing is written down by whoever does it; nobody does this.
    actions.push_back(Record{{{"event", "release"},
                              {"announcement", announcement().name},
                              {"kind", text(bgpctl::hold_kind_name(hold_->kind))},
                              {"who", hold_->who},
                              {"reason", hold_->reason},
                              {"cause", "expired"}}});
  }
  hold_ = *hold;
}

void AnnouncementTrack::on_found(const std::optional<bgpctl::AnnouncementStanding>& standing,
                                 const absl::StatusOr<Level>& state_file, Now now) {
  found_ = {.state_file = level_of(state_file), .standing = standing};
  unsettled_ = now.steady < settle_until_ && reconcile(decision_.level, found_).set;
}

void AnnouncementTrack::on_set(Level level, const bgpctl::SetResult& result, const absl::StatusOr<Level>& state_file,
                               Now now, Actions& actions) {
  if (pending_ > 0) --pending_;  // 0: asked for before a reload that forgot it
  found_ = {.state_file = level_of(state_file), .standing = std::nullopt};
  const std::string error(message(result.status));
  if (result.status.ok()) {
    settle_until_ = now.steady + kSettle;
    unsettled_ = true;
  } else {
    retry_at_ = now.steady + kRetry;
  }
  // A command repeated every second with the same outcome is one line.
  if (recorded_ == std::pair(level, error)) return;
  recorded_.emplace(level, error);
  actions.push_back(Record{{{"event", "command"},
                            {"announcement", announcement().name},
                            {"announce", level != Level::kWithdrawn},
                            {"level", text(level_name(level))},
                            {"cause", decision_.cause},
                            {"sent_unix_ns", result.sent_unix_ns},
                            {"replied_unix_ns", result.replied_unix_ns},
                            {"commands", list(result.commands)},
                            {"ok", result.status.ok()},
                            {"error", error}}});
}

void AnnouncementTrack::move_to(std::size_t index) {
  index_ = index;
  found_.standing.reset();
}

// What is still missing of this announcement when the first full round of all is complete.
std::string AnnouncementTrack::waits_for(const Facts& facts) const {
  // An order that could not be read yet may be a withdrawal.
  if (!hold_known_) return "the hold file cannot be read";
  for (const std::string& name : announcement().services) {
    const ServiceConfig* service = config_.find_service(name);
    if (service == nullptr) continue;
    const auto& backends = facts.backends[static_cast<std::size_t>(service - config_.services.data())];
    const bool asked = std::any_of(backends.begin(), backends.end(),
                                   [](const BackendFacts& backend) { return backend.health != Health::kUnknown; });
    if (!asked) return fmt::format("{} has no verdict yet", name);
  }
  return {};
}

void AnnouncementTrack::act(const Facts& facts, Now now, Actions& actions) {
  const std::string missing = facts.first_round_done ? waits_for(facts) : std::string();
  if (missing.empty() && hold_known_) {
    decide_level(facts, now, actions);
  } else {
    Facts waiting = facts;
    waiting.first_round_done = false;
    if (facts.first_round_done) waiting.first_round_missing = missing;
    decide_level(waiting, now, actions);
  }
  if (!decision_.as_found) reconcile_level(now, actions);
  // Last: a withdrawal does not wait for a disk.
  if (!std::exchange(saved_, true)) actions.push_back(SaveDamping{index_, decision_.memory.damping});
}

void AnnouncementTrack::decide_level(const Facts& facts, Now now, Actions& actions) {
  const Decision before = std::exchange(decision_, decide(config_, index_, facts, hold_, decision_.memory, now.steady));
  others_ = facts.routing[index_].others;
  hold_down_until_ =
      decision_.hold_down_remaining > Milliseconds(0) ? now.steady + decision_.hold_down_remaining : SteadyTime::max();
  if (decision_.level != before.level) {
    confirmed_ = false;
    recorded_.reset();
    retry_at_ = now.steady;
    settle_until_ = now.steady;
  }
  record_decision(before, now, actions);
}

void AnnouncementTrack::record_decision(const Decision& before, Now now, Actions& actions) {
  const Damping& damping = decision_.memory.damping;
  const std::int64_t penalty = std::llround(penalty_at(announcement().flaps, damping, now.steady));
  if (decision_.level != before.level) {
    actions.push_back(Record{{{"event", "verdict"},
                              {"announcement", announcement().name},
                              {"announce", decision_.announced()},
                              {"level", text(level_name(decision_.level))},
                              {"cause", decision_.cause},
                              {"hold_down_ms", damping.lost ? damping.hold_down.count() : 0},
                              {"flap_penalty", penalty}}});
  }
  if (damping.latched != before.memory.damping.latched) {
    actions.push_back(Record{{{"event", "latch"},
                              {"announcement", announcement().name},
                              {"latched", damping.latched},
                              {"flaps", damping.flaps},
                              {"flap_penalty", penalty}}});
  }
  if (decision_.kept_last != before.kept_last) {
    actions.push_back(Record{{{"event", "last-announcer"},
                              {"announcement", announcement().name},
                              {"kept", decision_.kept_last},
                              {"cause", decision_.cause}}});
  }
  if (damping != before.memory.damping) saved_ = false;
}

void AnnouncementTrack::forgive(Actions& actions) {
  Damping& damping = decision_.memory.damping;
  if (damping == Damping{}) return;
  actions.push_back(Record{{{"event", "forgive"},
                            {"announcement", announcement().name},
                            {"flaps", damping.flaps},
                            {"latched", damping.latched}}});
  damping = {};
}

void AnnouncementTrack::reconcile_level(Now now, Actions& actions) {
  const Level intended = decision_.level;
  if (pending_ > 0) {
    // A withdrawal waits for nothing; an announcement waits for the answers. So at most two are under way.
    if (intended == Level::kWithdrawn && last_sent_ != intended) send(actions);
    return;
  }
  const Reconciliation result = reconcile(intended, found_);
  report_problem(result.problem, now, actions);
  if (!result.set) {
    confirmed_ = confirmed_ || found_.standing.has_value();
    return;
  }
  if (now.steady < retry_at_ || settling(now.steady)) return;
  if (confirmed_) {
    confirmed_ = false;
    recorded_.reset();
    ++drifts_;
    last_drift_ = *result.differs;
    last_drift_unix_ms_ = now.unix_ms;
    actions.push_back(Record{{{"event", "drift"},
                              {"announcement", announcement().name},
                              {"intended", text(level_name(intended))},
                              {"found", *result.differs}}});
  }
  send(actions);
}

void AnnouncementTrack::send(Actions& actions) {
  ++pending_;
  last_sent_ = decision_.level;
  unsettled_ = false;
  actions.push_back(SetAnnouncement{index_, decision_.level});
}

void AnnouncementTrack::report_problem(const std::optional<std::string>& problem, Now now, Actions& actions) {
  if (problem != problem_) {
    problem_ = problem;
    problem_since_ = now.steady;
    problem_recorded_ = false;
  }
  if (!problem_ || problem_recorded_ || now.steady - problem_since_ < kProblemPatience) return;
  problem_recorded_ = true;
  actions.push_back(Record{{{"event", "drift"},
                            {"announcement", announcement().name},
                            {"intended", text(level_name(decision_.level))},
                            {"found", *problem_}}});
}

SteadyTime AnnouncementTrack::wake() const {
  // Only a wrong state file is repaired without a new look.
  const bool retry = pending_ == 0 && !decision_.as_found && reconcile(decision_.level, found_).set;
  return std::min(hold_down_until_, retry ? std::max(retry_at_, settle_until_) : SteadyTime::max());
}

json::object AnnouncementTrack::json(Now now) const {
  json::object result{{"name", announcement().name}};
  json::array& prefixes = result["prefixes"].emplace_array();
  for (const IpPrefix& prefix : announcement().prefixes) prefixes.emplace_back(prefix.to_string());
  result["announce"] = decision_.announced();
  result["level"] = text(level_name(decision_.level));
  result["cause"] = decision_.cause;
  result["hold"] = nullptr;
  if (hold_) {
    json::object& hold = result["hold"].emplace_object();
    hold["kind"] = text(bgpctl::hold_kind_name(hold_->kind));
    hold["who"] = hold_->who;
    hold["reason"] = hold_->reason;
    hold["placed_unix_ms"] = hold_->placed_unix_ms;
    hold["expires_unix_ms"] = hold_->expires_unix_ms ? json::value(*hold_->expires_unix_ms) : json::value(nullptr);
  }
  result["hold_error"] = hold_error_.empty() ? json::value(nullptr) : json::value(hold_error_);
  const auto remaining =
      hold_down_until_ == SteadyTime::max()
          ? Milliseconds(0)
          : std::max(Milliseconds(0), std::chrono::ceil<Milliseconds>(hold_down_until_ - now.steady));
  result["deserved"] = text(level_name(decision_.deserved));
  result["deserved_cause"] = decision_.deserved_cause;
  result["hold_down_remaining_ms"] = remaining.count();
  result["hold_down_until_unix_ms"] =
      remaining > Milliseconds(0) ? json::value(now.unix_ms + remaining.count()) : json::value(nullptr);
  const Damping& damping = decision_.memory.damping;
  result["hold_down_ms"] = damping.lost ? damping.hold_down.count() : 0;
  result["flap_penalty"] = std::llround(penalty_at(announcement().flaps, damping, now.steady));
  result["flaps"] = damping.flaps;
  result["latched"] = damping.latched;
  result["canary"] = announcement().canary;
  result["keep_last"] = announcement().keep_last;
  result["kept_last"] = decision_.kept_last;
  result["others_announce"] = others_ ? json::value(*others_) : json::value(nullptr);
  result["if_monitor_lost"] = text(monitor_lost_name(announcement().if_monitor_lost));
  result["drifts"] = drifts_;
  result["last_drift"] = nullptr;
  if (drifts_ > 0) result["last_drift"] = {{"unix_ms", last_drift_unix_ms_}, {"found", last_drift_}};
  result["state_file"] = found_.state_file ? json::value(text(level_name(*found_.state_file))) : json::value(nullptr);
  const auto& standing = found_.standing;
  result["in_table"] = standing ? json::value(standing->in_table) : json::value(nullptr);
  result["table_level"] =
      standing && standing->level ? json::value(text(level_name(*standing->level))) : json::value(nullptr);
  result["exported_to"] = standing ? list(standing->exported_to) : json::array();
  result["not_exported_to"] = standing ? list(standing->not_exported_to) : json::array();
  result["drained_to"] = standing ? list(standing->drained_to) : json::array();
  result["problem"] = problem_ ? json::value(*problem_) : json::value(nullptr);
  return result;
}

}  // namespace anypop::healthmon
