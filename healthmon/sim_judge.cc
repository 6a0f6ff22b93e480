// SPDX-License-Identifier: Apache-2.0
// What the simulation knows to be true, and what it therefore asks of the routers and, in the end, of everything.
#include <algorithm>

#include <gmock/gmock.h>

#include "sim_world.h"

namespace anypop::healthmon::sim {

// What is true, whether anybody was told or not. Silence of everything is asked about twice.
bool World::cannot_serve(std::size_t announcement) const {
  const bool stuck = dataplane_.worker_age_ms > config_.monitor.heartbeat_timeout_ms;
  return !config_.announcements[announcement].canary && (stuck || deserved(announcement, 0) == Level::kWithdrawn);
}

// By the conditions, and with nothing that makes a monitor doubt them: wrong results, orders, a latch.
bool World::must_be_there(std::size_t i) const {
  const AnnouncementConfig& wanted = config_.announcements[i];
  const bool doubts = flake_ > 0 || now_ < silent_until_ || dataplane_.worker_age_ms > 0 ||
                      dataplane_.planned_restart_ms > 0 || !monitor_->first_round_done();
  const bool ordered = !orders_.none(i);
  if (doubts || ordered || oracle_.books[i].may_be_latched(now_)) return false;
  return bird_.established() >= wanted.min_sessions && deserved(i, wanted.return_margin_percent) != Level::kWithdrawn;
}

// What the hold-down may take, counted from the moment when everything is good. By no word of the monitor longer than
// the configuration allows.
Milliseconds World::patience(std::size_t i) const {
  const Damping& damping = monitor_->decision(i).memory.damping;
  return damping.lost ? std::min(damping.hold_down, oracle_.books[i].longest_hold_down()) : Milliseconds(0);
}

// A verdict takes the probes' time, twice if everything fell silent, and the patience with a dataplane.
Milliseconds World::verdict_time() const {
  unsigned probes_ms = 0;
  for (const ServiceConfig& service : config_.services) {
    const ProbeConfig& probe = service.probes[0];
    const unsigned more = std::max(probe.rise, probe.fall) - 1;
    probes_ms = std::max(probes_ms, probe.interval_ms + more * std::max(probe.interval_ms / 2, probe.timeout_ms));
  }
  const unsigned dataplane_ms = config_.monitor.heartbeat_timeout_ms + 2 * config_.monitor.heartbeat_interval_ms;
  return Milliseconds(2 * probes_ms + dataplane_ms) + kState;
}

void World::watch_the_routers() {
  if (now_ < watch_at_) return;
  watch_at_ = now_ + kWatchInterval;
  const std::size_t count = config_.announcements.size();
  exported_.resize(count + 1);
  for (std::size_t i = 0; i <= count; ++i) exported_[i] = bird_.level(i);
  for (std::size_t r = 0; r < routers_.size(); ++r) {
    const bool up = bird_.process != ProcessState::kDead && r < bird_.sessions_up.size() && bird_.sessions_up[r];
    routers_[r].step(up, exported_, Milliseconds(2 + (now_.time_since_epoch().count() >> 20) % 100), now_);
  }
  for (std::size_t i = 0; i < count; ++i) judge_at_routers(i);
  wrongly_there_[count].note(at_routers(count) != Level::kWithdrawn, nobody_can() || disk_full_, now_);
  EXPECT_LE(wrongly_there_[count].lasted(now_), kStranger) << "an announcement that pop.yaml has no more";
}

// Nobody is there to do it, or to obey.
bool World::nobody_can() const { return !monitor_ || now_ < stalled_until_ || bird_.process != ProcessState::kRunning; }

Level World::at_routers(std::size_t i) const { return std::max(routers_[0].level(i), routers_[1].level(i)); }

void World::judge_at_routers(std::size_t i) {
  const AnnouncementConfig& announcement = config_.announcements[i];
  const Level there = at_routers(i);
  const bool disk_undoes = disk_full_ && storm_;
  const bgpctl::Hold* const order = orders_.standing(i, wall().unix_ms);
  judge_order(i, order, there);
  const bool by_order = (order != nullptr && order->kind == bgpctl::HoldKind::kAnnounce) || !orders_.readable(i);
  const bool last = announcement.keep_last && bird_.others[i] == 0;
  wrongly_there_[i].note(there != Level::kWithdrawn && cannot_serve(i), nobody_can() || by_order || last || disk_undoes,
                         now_);
  EXPECT_LE(wrongly_there_[i].lasted(now_),
            verdict_time() + (announcement.keep_last ? Milliseconds(kLastAnnouncerWait) : Milliseconds(0)))
      << announcement.name
      << " is at a router, and the PoP cannot serve it: " << (monitor_ ? monitor_->decision(i).cause : "");
  missing_[i].note(!nobody_can() && there == Level::kWithdrawn && bird_.established() > 0 && must_be_there(i),
                   nobody_can() || disk_full_, now_);
  if (nobody_can()) return;
  // One that has just ended is over before its route is there.
  if (missing_[i].lasted(now_) == Milliseconds(0)) hold_down_[i] = Milliseconds(0);
  hold_down_[i] = std::max(hold_down_[i], patience(i));
  EXPECT_LE(missing_[i].lasted(now_), verdict_time() + hold_down_[i])
      << announcement.name << " is missing at every router: " << monitor_->decision(i).cause;
}

// Out while it is held out, in while it is held in, and no more than drained while it is held drained.
void World::judge_order(std::size_t i, const bgpctl::Hold* order, Level there) {
  // The one before is in its right, too, until the new one can have been heard.
  const std::string reason = order == nullptr ? "" : order->reason;
  if (reason != judged_order_[i]) against_order_[i].note(false, true, now_);
  judged_order_[i] = reason;
  if (order == nullptr) return;
  const Level most = bgpctl::highest_level(order->kind);
  bool wrong = there > most;
  if (order->kind == bgpctl::HoldKind::kAnnounce && monitor_ && monitor_->first_round_done()) {
    wrong = bird_.established() > 0 && there != Level::kAnnounced;
  }
  // What was sent to a BIRD that hung stands before the order, each with its timeout.
  const bool queued = bird_busy_until_ > now_ + Milliseconds(100);
  against_order_[i].note(wrong, nobody_can() || disk_full_ || queued, now_);
  EXPECT_LE(against_order_[i].lasted(now_), kOrder)
      << config_.announcements[i].name << " is " << level_name(there) << " at the routers against " << order->reason
      << ", to " << bgpctl::hold_kind_name(order->kind) << ": " << (monitor_ ? monitor_->decision(i).cause : "");
}

// What the conditions allow, with so much more than the limits.
Level World::deserved(std::size_t announcement, unsigned margin_percent) const {
  const AnnouncementConfig& wanted = config_.announcements[announcement];
  if (wanted.canary) return Level::kAnnounced;
  if (dataplane_.process != ProcessState::kRunning) return Level::kWithdrawn;
  const unsigned in_percent = std::min(100U, wanted.min_healthy_percent + margin_percent);
  const unsigned full_percent = std::min(100U, std::max(wanted.drain_below_percent + margin_percent, in_percent));
  const auto usable = [&](std::size_t s, std::size_t b) {
    return backend_up_[s][b] && !is_drained({s, b}) && dataplane_.backend({s, b}).resolved;
  };
  return naive_level(config_, wanted, services_[announcement], in_percent,
                     wanted.drain_below_percent == 0 ? in_percent : full_percent, usable);
}

// Every level that may be right once nothing has changed for a while. A level that was lost needs the margin to come
// back, a latch may need a person, and who is the last announcer stays as he is.
std::vector<bgpctl::Level> World::right_levels(std::size_t announcement) const {
  const AnnouncementConfig& wanted = config_.announcements[announcement];
  const bgpctl::Hold* const hold = orders_.standing(announcement, wall().unix_ms);
  if (hold != nullptr && hold->kind == bgpctl::HoldKind::kAnnounce) return {Level::kAnnounced};
  const Damping& damping = monitor_->decision(announcement).memory.damping;
  std::vector<Level> levels{deserved(announcement, 0)};
  if (damping.lost) {
    const Level least = deserved(announcement, wanted.return_margin_percent);
    for (const Level level : {Level::kWithdrawn, Level::kDrained}) {
      if (level >= least && level < levels.front()) levels.push_back(level);
    }
  }
  const bool waits =
      damping.lost && now_ - quiet_since_ < oracle_.books[announcement].longest_hold_down() + verdict_time();
  if (waits || oracle_.books[announcement].may_be_latched(now_))
    levels.insert(levels.end(), {Level::kWithdrawn, Level::kDrained});
  const bool alone = wanted.keep_last && bird_.others[announcement] == 0;
  if (alone && levels.front() == Level::kWithdrawn) levels.push_back(Level::kDrained);
  if (hold != nullptr) {
    for (Level& level : levels) level = std::min(level, highest_level(hold->kind));
  }
  return levels;
}

void World::expect_converged() const {
  for (std::size_t i = 0; i < config_.announcements.size(); ++i) {
    const Decision& decision = monitor_->decision(i);
    EXPECT_THAT(right_levels(i), testing::Contains(decision.level))
        << config_.announcements[i].name << ": " << decision.cause;
    EXPECT_EQ(bird_.files[i], decision.level) << config_.announcements[i].name;
    EXPECT_EQ(bird_.level(i), decision.level) << config_.announcements[i].name;
  }
  EXPECT_EQ(bird_.old_file, Level::kWithdrawn);
  EXPECT_EQ(bird_.level(bird_.old_index()), Level::kWithdrawn) << "it is not in pop.yaml";
  EXPECT_TRUE(monitor_->state_json({now_, 0}).at("strangers").as_array().empty());
  if (dataplane_.process != ProcessState::kRunning) return;
  for (std::size_t s = 0; s < backend_up_.size(); ++s) expect_told(s);
}

// What the dataplane was told about each backend of a service, once nothing has changed for a while.
void World::expect_told(std::size_t s) const {
  const ServiceConfig& service = config_.services[s];
  unsigned total = 0;
  unsigned up = 0;
  unsigned out = 0;
  for (std::size_t b = 0; b < backend_up_[s].size(); ++b) {
    total += service.backends[b].weight;
    if (backend_up_[s][b]) up += service.backends[b].weight;
    if (!dataplane_.backend({s, b}).healthy && !is_drained({s, b})) out += service.backends[b].weight;
  }
  const bool panic = up * 100 < total * service.panic_percent;
  EXPECT_LE(out * 100, total * service.max_ejected_percent) << "more is out than may be";
  for (std::size_t b = 0; b < backend_up_[s].size(); ++b) {
    const dataplane_api::BackendState& told = dataplane_.backend({s, b});
    if (is_drained({s, b})) {
      EXPECT_EQ(told.weight_permille, 0U) << "drained";
      EXPECT_EQ(told.healthy, backend_up_[s][b]);
      continue;
    }
    EXPECT_EQ(told.weight_permille, 1000U) << "slow start is over";
    if (panic || backend_up_[s][b]) {
      EXPECT_TRUE(told.healthy) << "the dataplane was not told";
    } else if (service.max_ejected_percent == 100) {
      EXPECT_FALSE(told.healthy) << "the dataplane was not told";
    }
  }
}

}  // namespace anypop::healthmon::sim
