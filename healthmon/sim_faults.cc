// SPDX-License-Identifier: Apache-2.0
// What goes wrong in the simulated PoP, and what people do to it.
#include <utility>

#include "sim_world.h"

namespace anypop::healthmon::sim {

using bgpctl::Level;

void World::fault() {
  switch (pick(8)) {
    case 0: return monitor_fault();
    case 1: return hold_fault();
    case 2: return dataplane_fault();
    case 3: return bird_fault();
    case 4: return routing_fault();
    case 5:
      if (chance(0.3)) return damping_fault();
      [[fallthrough]];
    default: return backend_fault();
  }
}

// Sessions and other PoPs come and go.
void World::routing_fault() {
  if (chance(0.5)) {
    bird_.sessions_up[pick(bird_.sessions_up.size())] = chance(0.6);
  } else {
    bird_.others[pick(bird_.others.size())] = pick(3);
  }
}

// An operator ends hold-downs and latches, or the machine restarts.
void World::damping_fault() {
  if (chance(0.3)) return reboot();
  const std::size_t i = pick(saved_.size());
  if (saved_[i].empty()) return;
  saved_[i].clear();
  if (!monitor_) return oracle_.books[i].forget();
  tell(Milliseconds(0), [this, i](Now now) {
    // What the monitor wrote since then is overtaken by what it is told.
    saved_[i].clear();
    oracle_.books[i].forget();
    return monitor_->on_forgiven(i, now);
  });
}

// Other conditions for the announcements; all else is found again as it was.
void World::reload() {
  tell(Milliseconds(0), [this](Now now) {
    PopConfig before = config_;
    if (chance(0.3)) {
      before.announcements.push_back(bird_.old);
      bird_.leave_behind();
    }
    for (AnnouncementConfig& announcement : config_.announcements) {
      if (announcement.canary || chance(0.5)) continue;
      announcement.min_healthy_percent = one_of({1U, 50U, 100U});
      announcement.required_services = one_of({0U, 1U});
      announcement.min_sessions = one_of({0U, 1U, 2U});
      announcement.keep_last = chance(0.5);
      if (announcement.drain_below_percent <= announcement.min_healthy_percent) announcement.drain_below_percent = 0;
    }
    oracle_.forget_others();
    return monitor_->on_reload(before, bird_.state_files(), read_dampings(), now);
  });
}

void World::reboot() {
  stop_monitor();
  ++boots_;
  for (Level& file : bird_.files) file = Level::kWithdrawn;
  bird_.restart();
  dataplane_.restart();
  // A machine without a battery begins in the past, until it has asked for the time.
  const bool lost_clock = chance(0.3);
  if (std::exchange(wall_stepped_, false) || lost_clock) {
    for (FlapBook& book : oracle_.books) book.make_unknown();
  }
  if (lost_clock) {
    const std::int64_t lost_ms = 86'400'000;
    wall_offset_ms_ -= lost_ms;
    after(Milliseconds(pick(5000)), [this] { step_wall_clock(lost_ms); });
  }
  start_monitor();
}

void World::backend_fault() {
  if (chance(0.2)) {
    flake_ = one_of({0.0, 0.05, 0.3});
    return;
  }
  const std::size_t s = pick(backend_up_.size());
  if (chance(0.15)) {
    silent_until_ = now_ + Milliseconds(pick(6000));
    return;
  }
  if (chance(0.15)) {
    return drain_fault({s, pick(backend_up_[s].size())});
  }
  if (chance(0.3)) {
    backend_up_[s].assign(backend_up_[s].size(), chance(0.6));
  } else {
    const std::size_t b = pick(backend_up_[s].size());
    backend_up_[s][b] = chance(0.6);
  }
}

// The closed connection is noticed at once.
void World::kill_dataplane() {
  dataplane_.process = ProcessState::kDead;
  tell(Milliseconds(1), [this](Now now) {
    const auto beat = heard_heartbeat();
    oracle_.on_heartbeat(beat, now.steady);
    return monitor_->on_heartbeat(beat, now);
  });
}

// Announced, and then sometimes quicker and sometimes slower than announced.
void World::restart_dataplane() {
  if (dataplane_.process != ProcessState::kRunning) return;
  dataplane_.planned_restart_ms = one_of<std::uint64_t>({500, 3000, 10'000});
  after(Milliseconds(700), [this] {
    if (dataplane_.planned_restart_ms > 0) kill_dataplane();
  });
  after(Milliseconds(700 + pick(5000)), [this] {
    if (dataplane_.process == ProcessState::kDead) dataplane_.restart();
  });
}

void World::dataplane_fault() {
  switch (pick(7)) {
    case 0: return kill_dataplane();
    case 6: return restart_dataplane();
    case 1: dataplane_.process = ProcessState::kHung; return;
    case 2: dataplane_.worker_age_ms = one_of({0.0, 5000.0}); return;
    case 3: {
      const std::size_t s = pick(backend_up_.size());
      return dataplane_.resolve({s, pick(backend_up_[s].size())}, chance(0.6));
    }
    default:
      if (dataplane_.process == ProcessState::kDead) return dataplane_.restart();
      dataplane_.process = ProcessState::kRunning;
  }
}

void World::bird_fault() {
  const std::size_t i = pick(config_.announcements.size());
  switch (pick(9)) {
    case 8:
      bird_.conf_broken = keep_conf_broken_ || !bird_.conf_broken;
      if (!bird_.conf_broken && bird_.process == ProcessState::kDead) bird_.restart();
      return;
    case 0: bird_.process = ProcessState::kDead; return;
    case 1:
      if (bird_.process == ProcessState::kRunning) bird_.process = ProcessState::kHung;
      return;
    case 2: return bird_.configure();
    case 3: return bird_.set_protocols(i, chance(0.5));
    case 4: bird_.files[i] = one_of({Level::kWithdrawn, Level::kDrained, Level::kAnnounced}); return;
    case 5: disk_full_ = !disk_full_; return;
    default: return bird_.restart();
  }
}

// Of an order: now and then none.
std::optional<std::int64_t> World::some_expiry() {
  if (chance(0.4)) return std::nullopt;
  return wall().unix_ms + one_of<std::int64_t>({500, 2000, 2000, 20'000, 600'000, 3'600'000});
}

void World::drain_fault(BackendId id) {
  if (chance(0.6)) {
    orders_.undrain(id);
  } else {
    orders_.drain(id, wall().unix_ms, some_expiry());
  }
  watch_orders();
}

void World::hold_fault() {
  using enum bgpctl::HoldKind;
  const std::size_t i = pick(config_.announcements.size());
  if (chance(0.4)) {
    orders_.release(i, one_of({bgpctl::Beneath::kKeep, bgpctl::Beneath::kDrop}));
  } else if (chance(0.1)) {
    orders_.spoil(i);
  } else if (chance(0.1)) {
    // The lease, although the monitor is back just then; above a drain that will be over before it.
    orders_.place(i, kDrain, wall().unix_ms, wall().unix_ms + 500);
    return lease();
  } else {
    const auto kind = one_of({kWithdraw, kWithdraw, kAnnounce, kDrain});
    orders_.place(i, kind, wall().unix_ms, some_expiry());
    // bgpctl does it by itself, whatever the monitor does; an order over the API leaves it to the monitor.
    if (kind != kDrain && chance(0.5)) bird_.set(i, bgpctl::highest_level(kind), disk_full_);
  }
  watch_orders();
}

// Nobody has started the monitor for too long.
void World::lose_monitor() {
  after(Milliseconds(2000 + pick(4000)), [this, life = life_] {
    if (!monitor_ && life == life_) lease();
  });
}

// `bgpctl withdraw --all --monitor-lost`, and later somebody ends that.
void World::lease() {
  for (std::size_t i = 0; i < config_.announcements.size(); ++i) {
    const AnnouncementConfig& announcement = config_.announcements[i];
    if (announcement.if_monitor_lost == MonitorLost::kKeep) continue;
    const auto hold = orders_.read_hold(i, wall().unix_ms);
    if (hold.ok() && *hold && (*hold)->kind != bgpctl::HoldKind::kDrain) continue;
    if (announcement.keep_last && bird_.others[i] == 0) continue;
    orders_.place_lease(i, wall().unix_ms);
    bird_.set(i, Level::kWithdrawn, disk_full_);
  }
  watch_orders();
  after(Milliseconds(pick(12'000)), [this] {
    for (std::size_t i = 0; i < config_.announcements.size(); ++i) orders_.release_lease(i);
    watch_orders();
  });
}

void World::step_wall_clock(std::int64_t by_ms) {
  wall_stepped_ = true;
  wall_offset_ms_ += by_ms;
  watch_orders();
}

void World::monitor_fault() {
  switch (pick(5)) {
    case 4: return reload();
    case 0:
      if (!monitor_) return start_monitor();
      stop_monitor();
      return lose_monitor();
    case 1:
      return step_wall_clock(one_of<std::int64_t>(
          {-86'400'000, -3'600'000, -60'000, -2500, -500, 500, 2500, 60'000, 3'600'000, 86'400'000}));
    case 2: {
      const SteadyTime until = std::max(stalled_until_, now_ + Milliseconds(pick(3000)));
      oracle_.not_run_until(until, until - std::max(now_, stalled_until_));
      stalled_until_ = until;
      return;
    }
    default:
      stop_monitor();
      if (chance(0.2)) bird_.leave_behind();
      start_monitor();
  }
}

}  // namespace anypop::healthmon::sim
