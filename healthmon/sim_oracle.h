// SPDX-License-Identifier: Apache-2.0
// Judges the monitor in the simulation: keeps what the monitor has been told, and recomputes from it, naively and from
// scratch, what it may intend.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "healthmon/monitor_core.h"
#include "sim_flap_book.h"

namespace anypop::healthmon::sim {

using bgpctl::Level;

// By the weight that is usable: `in_percent` of a service's for not being withdrawn, `full_percent` for being
// announced.
template <class Usable>
Level naive_level(const PopConfig& config, const AnnouncementConfig& wanted, const std::vector<std::size_t>& services,
                  unsigned in_percent, unsigned full_percent, const Usable& is_usable) {
  std::size_t in = 0;
  std::size_t full = 0;
  for (const std::size_t s : services) {
    unsigned usable = 0;
    unsigned total = 0;
    for (std::size_t b = 0; b < config.services[s].backends.size(); ++b) {
      const unsigned weight = config.services[s].backends[b].weight;
      total += weight;
      if (is_usable(s, b)) usable += weight;
    }
    if (usable * 100 >= total * in_percent) ++in;
    if (usable * 100 >= total * full_percent) ++full;
  }
  const std::size_t needed = wanted.required_services == 0 ? wanted.services.size() : wanted.required_services;
  return full >= needed ? Level::kAnnounced : in >= needed ? Level::kDrained : Level::kWithdrawn;
}

// The latest run of enough equal results decides; without one, enough results of any kind are "unhealthy".
inline Health naive_health(const std::vector<bool>& results, const ProbeConfig& probe) {
  for (std::size_t end = results.size(); end > 0; --end) {
    const auto run_of = [&](bool value, std::size_t length) {
      if (length > end) return false;
      for (std::size_t i = end - length; i < end; ++i) {
        if (results[i] != value) return false;
      }
      return true;
    };
    if (run_of(true, probe.rise)) return Health::kHealthy;
    if (run_of(false, probe.fall)) return Health::kUnhealthy;
  }
  return results.size() >= probe.rise + probe.fall ? Health::kUnhealthy : Health::kUnknown;
}

// By index in PopConfig::services. What a reload changes in the simulation leaves them as they are.
inline std::vector<std::size_t> service_indices(const PopConfig& config, const AnnouncementConfig& announcement) {
  std::vector<std::size_t> indices;
  for (const std::string& name : announcement.services) {
    indices.push_back(static_cast<std::size_t>(config.find_service(name) - config.services.data()));
  }
  return indices;
}

class Oracle {
 public:
  explicit Oracle(const PopConfig& config) : config_(config) {
    for (const AnnouncementConfig& announcement : config.announcements) {
      books.emplace_back(announcement);
      services_.emplace_back(service_indices(config, announcement));
    }
  }

  // A new monitor has been told nothing.
  void restart(const StateFiles& files) {
    results.assign(config_.services.size(), {});
    for (std::size_t s = 0; s < results.size(); ++s) results[s].resize(config_.services[s].backends.size());
    drained = last_silent = healthy_at_answer_ = {};
    fault_since_.assign(config_.announcements.size(), SteadyTime::max());
    for (const auto& service : results) {
      drained.emplace_back(service.size(), false);
      last_silent.emplace_back(service.size(), true);
      healthy_at_answer_.emplace_back(service.size(), false);
    }
    opinion_asked_ = false;
    restarted_by_ = SteadyTime::min();
    gone_or_stuck = true;
    dataplane_told = bird_told = false;
    routing.assign(config_.announcements.size(), {});
    state.reset();
    holds.assign(config_.announcements.size(), std::nullopt);
    hold_known.assign(config_.announcements.size(), false);
    intended_.clear();
    for (const auto& file : files) intended_.push_back(file.value_or(Level::kWithdrawn));
    adopted_ = intended_;
    last_sent.assign(intended_.size(), std::nullopt);
  }

  // The monitor does not take the time in which it was stopped for anybody's silence.
  void not_run_until(SteadyTime end, SteadyTime::duration stalled) {
    heard = std::max(heard, end);
    state_read += stalled;
    // Nor for that of a dataplane that was being restarted.
    const SteadyTime once_more = end + Milliseconds(config_.monitor.heartbeat_timeout_ms);
    if (restarted_by_ >= end - stalled) restarted_by_ = std::max(restarted_by_, once_more);
  }

  // Others are asked for only where they matter, which has just changed.
  void forget_others() {
    for (RoutingFacts& facts : routing) facts.others.reset();
  }

  void on_heartbeat(const absl::StatusOr<dataplane_api::Heartbeat>& beat, SteadyTime now) {
    dataplane_told = true;
    if (!beat.ok()) {
      // While it is being restarted, nobody at its socket is silence.
      gone_or_stuck = gone_or_stuck || (absl::IsUnavailable(beat.status()) && now > restarted_by_);
      return;
    }
    gone_or_stuck = beat->workers[0].age_ms > config_.monitor.heartbeat_timeout_ms;
    if (gone_or_stuck) restarted_by_ = SteadyTime::min();
    if (gone_or_stuck) return;
    heard = now;
    if (beat->planned_restart_ms == 0 && now < restarted_by_ + kStateMaxAge) state_read = std::max(state_read, now);
    const auto grace = std::min<std::uint64_t>(beat->planned_restart_ms, config_.monitor.restart_grace_ms);
    restarted_by_ = beat->planned_restart_ms > 0 ? now + Milliseconds(grace) : SteadyTime::min();
  }

  void on_result(BackendId id, bool ok, bool silent) {
    auto& all = results[id.service][id.backend];
    all.push_back(ok);
    // Of days of results only the last ones can matter: a run of enough equal ones is among them.
    if (all.size() > std::size_t{2 * kResultsKept}) all.erase(all.begin(), all.end() - kResultsKept);
    last_silent[id.service][id.backend] = silent;
    if (silent) return;
    opinion_asked_ = false;
    for (std::size_t s = 0; s < results.size(); ++s) {
      for (std::size_t b = 0; b < results[s].size(); ++b) healthy_at_answer_[s][b] = healthy(s, b);
    }
  }

  void note_drains(const std::vector<DrainOrder>& orders) {
    for (std::size_t s = 0; s < drained.size(); ++s) {
      for (std::size_t b = 0; b < drained[s].size(); ++b) {
        drained[s][b] = std::any_of(orders.begin(), orders.end(), [&](const DrainOrder& order) {
          return order.service == config_.services[s].name && order.backend == config_.services[s].backends[b].name;
        });
      }
    }
  }

  // At the earliest; what is missing for how long is the monitor's business.
  bool first_round() const {
    for (std::size_t s = 0; s < results.size(); ++s) {
      for (const auto& backend : results[s]) {
        if (naive_health(backend, config_.services[s].probes[0]) == Health::kUnknown) return false;
      }
    }
    const bool silent = judged_at_ - started >= Milliseconds(config_.monitor.heartbeat_timeout_ms);
    return (dataplane_told || silent) && bird_told;
  }

  // The highest level that the conditions allow.
  Level deserved(std::size_t announcement, SteadyTime now) const {
    // A planned restart may take its time, and no longer.
    const bool restarting = now <= restarted_by_ + Milliseconds(51);
    const bool silent = now - heard > Milliseconds(config_.monitor.heartbeat_timeout_ms + 51);
    if ((gone_or_stuck || silent) && !restarting) return Level::kWithdrawn;
    if (!state || (now - state_read > kStateMaxAge + Milliseconds(51) && !restarting)) return Level::kWithdrawn;
    const AnnouncementConfig& wanted = config_.announcements[announcement];
    if (wanted.min_sessions > routing[announcement].sessions.value_or(0)) return Level::kWithdrawn;
    const auto usable = [&](std::size_t s, std::size_t b) {
      return healthy(s, b) && !drained[s][b] && state->services[s].backends[b].resolved;
    };
    return naive_level(config_, wanted, services_[announcement], wanted.min_healthy_percent,
                       std::max(wanted.drain_below_percent, wanted.min_healthy_percent), usable);
  }

  // After every event, with the actions that it caused.
  void judge(const MonitorCore& core, const Actions& actions, SteadyTime now) {
    judged_at_ = now;
    for (const Action& action : actions) {
      const auto* record = std::get_if<Record>(&action);
      if (record != nullptr && record->event.at("event") == "second-opinion") judge_second_opinion();
      if (const auto* set = std::get_if<SetAnnouncement>(&action)) judge_command(*set);
    }
    for (std::size_t i = 0; i < intended_.size(); ++i) {
      const Level before = intended_[i];
      const Level most = deserved(i, now);
      judge_level(core, i, most, now);
      if (config_.announcements[i].canary) continue;
      const bool settled = core.first_round_done() && hold_known[i];
      books[i].judge(core.decision(i), before, settled ? most : Level::kWithdrawn, holds[i].has_value(), now);
    }
  }

  std::vector<std::vector<std::vector<bool>>> results;  // [service][backend]: of this monitor's life
  std::vector<std::vector<bool>> drained;               // as told
  std::vector<std::vector<bool>> last_silent;           // the last result was no answer
  std::uint64_t second_opinions = 0;
  bool gone_or_stuck = true;
  bool dataplane_told = false;
  SteadyTime heard;
  SteadyTime started;  // this monitor
  std::optional<dataplane_api::State> state;
  SteadyTime state_read;
  bool bird_told = false;
  std::vector<RoutingFacts> routing;  // as told
  std::vector<FlapBook> books;        // of all monitors' lives
  std::vector<std::optional<bgpctl::Hold>> holds;
  std::vector<bool> hold_known;
  std::vector<std::optional<bgpctl::Level>> last_sent;  // nullopt: no command is under way

 private:
  bool healthy(std::size_t s, std::size_t b) const {
    return naive_health(results[s][b], config_.services[s].probes[0]) == Health::kHealthy;
  }

  // What fell since anybody last answered counts as healthy once more, and only once.
  void judge_second_opinion() {
    ++second_opinions;
    EXPECT_FALSE(opinion_asked_) << "asked again twice without an answer in between";
    opinion_asked_ = true;
    for (std::size_t s = 0; s < results.size(); ++s) {
      for (std::size_t b = 0; b < results[s].size(); ++b) {
        EXPECT_TRUE(last_silent[s][b]) << "somebody has answered";
        if (healthy_at_answer_[s][b]) results[s][b].assign(config_.services[s].probes[0].rise, true);
      }
    }
  }

  bool held(std::size_t i, bgpctl::HoldKind kind) const { return holds[i] && holds[i]->kind == kind; }

  void judge_command(const SetAnnouncement& set) {
    const std::size_t i = set.announcement;
    last_sent[i] = set.level;
    if (set.level == Level::kWithdrawn) return;
    if (held(i, bgpctl::HoldKind::kDrain)) {
      EXPECT_EQ(set.level, Level::kDrained) << "announced in full against a drain";
    }
    // What is in already is drained at once.
    if (set.level == Level::kDrained && adopted_[i] != Level::kWithdrawn && !(first_round() && hold_known[i])) return;
    EXPECT_TRUE(first_round()) << "announced before the first full round";
    EXPECT_TRUE(hold_known[i]) << "announced without knowing the operator's order";
    EXPECT_FALSE(held(i, bgpctl::HoldKind::kWithdraw)) << "announced against a hold";
  }

  void judge_level(const MonitorCore& core, std::size_t i, Level allowed, SteadyTime now) {
    const Decision& decision = core.decision(i);
    const Level before = intended_[i];
    intended_[i] = decision.level;
    EXPECT_FALSE(held(i, bgpctl::HoldKind::kDrain) && decision.level == Level::kAnnounced) << decision.cause;
    judge_last_announcer(decision, i, allowed == Level::kWithdrawn, now);
    if (!decision.announced()) {
      EXPECT_FALSE(config_.announcements[i].canary && core.first_round_done() && hold_known[i] && !holds[i])
          << "a canary is always in";
      EXPECT_FALSE(held(i, bgpctl::HoldKind::kAnnounce) && core.first_round_done()) << "withdrawn against a hold";
      if (before == Level::kWithdrawn) return;
      EXPECT_EQ(last_sent[i].value_or(Level::kWithdrawn), Level::kWithdrawn)
          << "an announcement under way was not overtaken: " << decision.cause;
      if (!last_sent[i]) {
        // Nothing under way withdraws it, so it must be withdrawn already as far as the monitor knows.
        EXPECT_FALSE(core.state_json({now, 0}).at("announcements").at(i).at("state_file") != "withdrawn")
            << "a verdict without its command in the same step: " << decision.cause;
      }
      return;
    }
    EXPECT_FALSE(held(i, bgpctl::HoldKind::kWithdraw)) << decision.cause;
    if (!core.first_round_done() || !hold_known[i]) {
      EXPECT_TRUE(adopted_[i] != Level::kWithdrawn && before != Level::kWithdrawn)
          << "intended before the first full round: " << decision.cause;
    } else if (!held(i, bgpctl::HoldKind::kAnnounce) && !config_.announcements[i].canary) {
      const Level most = decision.kept_last ? Level::kDrained : allowed;
      EXPECT_LE(decision.level, most) << decision.cause << "; as told: " << told(i, now);
    }
  }

  // For the message of a failure.
  std::string told(std::size_t i, SteadyTime now) const {
    const auto ago = [&](SteadyTime at) { return std::chrono::duration_cast<Milliseconds>(now - at).count(); };
    return fmt::format("{} sessions of {}, dataplane {}, heard {} ms ago, state {} ms ago, restarting {}",
                       routing[i].sessions.value_or(0), config_.announcements[i].min_sessions,
                       gone_or_stuck ? "gone" : "there", ago(heard), state ? ago(state_read) : -1,
                       now <= restarted_by_);
  }

  // Kept only if that was ordered, while nobody else is known, and de-preferred.
  void judge_last_announcer(const Decision& decision, std::size_t i, bool fault, SteadyTime now) {
    if (!fault) fault_since_[i] = SteadyTime::max();
    if (fault && fault_since_[i] == SteadyTime::max()) fault_since_[i] = now;
    if (!decision.kept_last) return;
    ++kept;
    EXPECT_TRUE(config_.announcements[i].keep_last) << decision.cause;
    EXPECT_EQ(decision.level, Level::kDrained) << decision.cause;
    EXPECT_FALSE(held(i, bgpctl::HoldKind::kWithdraw)) << "kept against a hold: " << decision.cause;
    const Milliseconds patience(2 * config_.monitor.heartbeat_timeout_ms);
    const bool long_enough = fault && now - fault_since_[i] > kLastAnnouncerWait + kOracleLate + patience;
    EXPECT_FALSE(long_enough && routing[i].others.value_or(false))
        << "kept although others are there: " << decision.cause;
  }

 public:
  std::uint64_t kept = 0;  // decisions

 private:
  // The oracle may see a fault earlier than the monitor, which gives a silent dataplane some grace.
  static constexpr Milliseconds kOracleLate{6000};
  static constexpr Milliseconds kStateMaxAge{3500};
  static constexpr std::ptrdiff_t kResultsKept = 5000;

  const PopConfig& config_;
  std::vector<std::vector<std::size_t>> services_;  // of each announcement
  SteadyTime judged_at_;
  std::vector<SteadyTime> fault_since_;
  SteadyTime restarted_by_ = SteadyTime::min();
  std::vector<bgpctl::Level> adopted_;
  std::vector<bgpctl::Level> intended_;
  std::vector<std::vector<bool>> healthy_at_answer_;
  bool opinion_asked_ = false;
};

}  // namespace anypop::healthmon::sim
