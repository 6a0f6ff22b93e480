// SPDX-License-Identifier: Apache-2.0
#include "announcement_track.h"

#include <algorithm>
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
                                     const absl::StatusOr<Level>& state_file)
    : config_(config), index_(index), found_{.state_file = level_of(state_file)}, confirmed_(state_file.ok()) {
  decision_.level = decision_.memory.level = level_of(state_file).value_or(Level::kWithdrawn);
  decision_.as_found = true;
  decision_.cause = "as found at the start";
}

void AnnouncementTrack::on_hold(const absl::StatusOr<std::optional<bgpctl::Hold>>& hold, Now now, Actions& actions) {
  if (!hold.ok()) {
    if (hold_error_ != message(hold.status())) {
      hold_error_ = message(hold.status());
      actions.push_back(Note{true, fmt::format("msg=\"the order in force stays\" announcement={} error=\"{}\"",
                                               announcement().name, escaped(hold_error_))});
    }
    return;
  }
  hold_error_.clear();
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
  --pending_;
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
                            {"sent_unix_ns", result.sent_unix_ns},
                            {"replied_unix_ns", result.replied_unix_ns},
                            {"commands", list(result.commands)},
                            {"ok", result.status.ok()},
                            {"error", error}}});
}

void AnnouncementTrack::act(const Facts& facts, Now now, Actions& actions) {
  if (hold_known_) {
    decide_level(facts, now, actions);
  } else {
    // An order that could not be read yet may be a withdrawal.
    Facts waiting = facts;
    waiting.first_round_done = false;
    if (facts.first_round_done) waiting.first_round_missing = "the hold file cannot be read";
    decide_level(waiting, now, actions);
  }
  if (!decision_.as_found) reconcile_level(now, actions);
}

void AnnouncementTrack::decide_level(const Facts& facts, Now now, Actions& actions) {
  const Level before = decision_.level;
  decision_ = decide(config_, announcement(), facts, hold_, decision_.memory, now.steady);
  hold_down_until_ =
      decision_.hold_down_remaining > Milliseconds(0) ? now.steady + decision_.hold_down_remaining : SteadyTime::max();
  if (decision_.level == before) return;
  confirmed_ = false;
  recorded_.reset();
  retry_at_ = now.steady;
  settle_until_ = now.steady;
  actions.push_back(Record{{{"event", "verdict"},
                            {"announcement", announcement().name},
                            {"announce", decision_.announced()},
                            {"level", text(level_name(decision_.level))},
                            {"cause", decision_.cause}}});
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
  result["hold_down_remaining_ms"] = remaining.count();
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
