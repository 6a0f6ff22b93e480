// SPDX-License-Identifier: Apache-2.0
#include "sim_world.h"

#include <algorithm>

#include <gmock/gmock.h>

namespace anypop::healthmon::sim {
namespace {

using bgpctl::Level;
using std::chrono::seconds;

IpPrefix prefix(const char* text) { return *IpPrefix::parse(text); }

PopConfig random_config(std::mt19937_64& random) {
  const auto from = [&](std::initializer_list<unsigned> values) {
    return *(values.begin() + random() % values.size());
  };
  PopConfig config;
  config.pop = "sim";
  config.monitor = {.heartbeat_interval_ms = 200, .heartbeat_timeout_ms = from({400, 700})};
  for (const char* name : {"web4", "web6", "dns"}) {
    ServiceConfig& service = config.services.emplace_back();
    service.name = name;
    service.probes = {
        {.interval_ms = from({400, 1000}), .timeout_ms = 300, .rise = from({1, 2, 3}), .fall = from({1, 2, 3})}};
    service.panic_percent = from({0, 30, 60});
    service.max_ejected_percent = from({40, 100});
    service.slow_start_ms = from({0, 2000});
    for (unsigned b = 0; b < from({1, 2, 3}); ++b) {
      service.backends.push_back({.name = "b" + std::to_string(b), .weight = from({1, 2, 5})});
    }
  }
  config.announcements = {{.name = "web",
                           .prefixes = {prefix("198.51.100.0/24"), prefix("2001:db8:53::/48")},
                           .services = {"web4", "web6"}},
                          {.name = "dns", .prefixes = {prefix("192.0.2.0/24")}, .services = {"dns"}}};
  for (AnnouncementConfig& announcement : config.announcements) {
    announcement.min_healthy_percent = from({1, 50, 100});
    announcement.drain_below_percent = from({0, 0, 60, 90});
    announcement.return_margin_percent = from({0, 20});
    if (announcement.drain_below_percent <= announcement.min_healthy_percent) announcement.drain_below_percent = 0;
    announcement.required_services = from({0, 1});
    announcement.min_sessions = from({0, 0, 1, 2});
    announcement.keep_last = from({0, 1}) == 1;
    announcement.hold_down_ms = from({0, 500, 3000});
    announcement.flaps = {.half_life_s = from({3, 10, 900}),
                          .latch_penalty = from({0, 2000, 4000}),
                          .reuse_penalty = from({0, 750}),
                          .hold_down_max_ms = from({0, 4000})};
  }
  config.announcements.push_back({.name = "canary",
                                  .prefixes = {prefix("203.0.113.0/24")},
                                  .canary = true,
                                  .if_monitor_lost = MonitorLost::kKeep});
  return config;
}

}  // namespace

World::World(std::uint64_t seed)
    : random_(seed), config_(random_config(random_)), bird_(config_), dataplane_(config_), oracle_(config_) {
  saved_.resize(config_.announcements.size());
  routers_.assign(2, RouterModel(config_.announcements.size() + 1));
  wrongly_there_.resize(config_.announcements.size() + 1);
  missing_.resize(config_.announcements.size());
  for (const ServiceConfig& service : config_.services) {
    backend_up_.emplace_back(service.backends.size(), chance(0.8));
    drained_.emplace_back(service.backends.size(), false);
  }
  for (std::size_t i = 0; i < config_.announcements.size(); ++i) {
    bird_.files[i] = chance(0.5) ? Level::kAnnounced : Level::kWithdrawn;
    holds_.emplace_back(std::nullopt);
  }
  bird_.sessions_up.assign(2, true);
  bird_.restart();
  start_monitor();
}

void World::tell(Milliseconds delay, std::function<Actions(Now)> event) {
  after(delay, [this, life = life_, event = std::move(event)] {
    if (life != life_ || !monitor_) return;
    if (now_ < stalled_until_) {
      return tell(std::chrono::ceil<Milliseconds>(stalled_until_ - now_), event);
    }
    const Actions actions = event(wall());
    oracle_.judge(*monitor_, actions, now_);
    carry_out(actions);
  });
}

void World::run_until(SteadyTime end) {
  while (!queue_.empty() && queue_.begin()->first <= end) {
    const auto next = queue_.begin();
    now_ = std::max(now_, next->first);
    const Task task = std::move(next->second);
    queue_.erase(next);
    task();
    watch_the_routers();
    if (testing::Test::HasFailure()) return;
  }
  now_ = end;
}

void World::configure_again() {
  if (!storm_) return;
  bird_.configure();
  after(Milliseconds(10), [this] { configure_again(); });
}

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
  const bool ordered = !holds_[i].ok() || *holds_[i] || oracle_.holds[i] || !oracle_.hold_known[i];
  if (doubts || ordered || monitor_->decision(i).memory.damping.latched) return false;
  return bird_.established() >= wanted.min_sessions && deserved(i, wanted.return_margin_percent) != Level::kWithdrawn;
}

// What the hold-down may take, counted from the moment when everything is good.
Milliseconds World::patience(std::size_t i) const {
  const Damping& damping = monitor_->decision(i).memory.damping;
  return damping.lost ? damping.hold_down : Milliseconds(0);
}

void World::watch_the_routers() {
  // A fault's verdict takes the probes' time, twice if everything fell silent, or the patience with a dataplane.
  constexpr Milliseconds kVerdict{9000};
  constexpr Milliseconds kAnnounce{9000};
  constexpr Milliseconds kStranger{4000};
  if (now_ < watch_at_) return;
  watch_at_ = now_ + kWatchInterval;
  const std::size_t count = config_.announcements.size();
  std::vector<bool> exported;
  for (std::size_t i = 0; i < count; ++i) exported.push_back(bird_.announces(i));
  exported.push_back(bird_.announces_old());
  for (std::size_t r = 0; r < routers_.size(); ++r) {
    const bool up = bird_.process != ProcessState::kDead && r < bird_.sessions_up.size() && bird_.sessions_up[r];
    routers_[r].step(up, exported, Milliseconds(2 + (now_.time_since_epoch().count() >> 20) % 100), now_);
  }
  const auto at_routers = [&](std::size_t i) { return routers_[0].has(i) || routers_[1].has(i); };
  const bool nobody_can = !monitor_ || now_ < stalled_until_ || bird_.process != ProcessState::kRunning;
  for (std::size_t i = 0; i < count; ++i) {
    const bool by_order = (holds_[i].ok() && *holds_[i] && (*holds_[i])->kind == bgpctl::HoldKind::kAnnounce) ||
                          oracle_.held_in(i) || !oracle_.hold_known[i] || config_.announcements[i].keep_last;
    wrongly_there_[i].note(at_routers(i) && cannot_serve(i), nobody_can || by_order || (disk_full_ && storm_), now_);
    EXPECT_LE(wrongly_there_[i].lasted(now_), kVerdict)
        << config_.announcements[i].name
        << " is at a router, and the PoP cannot serve it: " << (monitor_ ? monitor_->decision(i).cause : "");
    missing_[i].note(!nobody_can && !at_routers(i) && bird_.established() > 0 && must_be_there(i),
                     nobody_can || disk_full_, now_);
    if (nobody_can) continue;
    EXPECT_LE(missing_[i].lasted(now_), kAnnounce + patience(i))
        << config_.announcements[i].name << " is missing at every router: " << monitor_->decision(i).cause;
  }
  wrongly_there_[count].note(at_routers(count), nobody_can || disk_full_, now_);
  EXPECT_LE(wrongly_there_[count].lasted(now_), kStranger) << "an announcement that pop.yaml has no more";
}

void World::start_monitor() {
  ++life_;
  const StateFiles files = bird_.state_files();
  // An operator's word to a monitor that died before it heard.
  for (std::size_t i = 0; i < saved_.size(); ++i) {
    if (saved_[i].empty()) oracle_.books[i].forget();
  }
  monitor_ = std::make_unique<MonitorCore>(config_, files, read_dampings(), wall());
  for (Overdue& one : wrongly_there_) one.note(false, true, now_);  // it begins to count anew
  armed_for_ = SteadyTime::min();
  bird_busy_until_ = stalled_until_ = now_;
  oracle_.restart(files);
  oracle_.heard = oracle_.state_read = now_;
  read_drains();
  tell(Milliseconds(0), [this](Now now) { return monitor_->on_time(now); });
  for (std::size_t s = 0; s < config_.services.size(); ++s) {
    for (std::size_t b = 0; b < config_.services[s].backends.size(); ++b) probe({s, b});
  }
  heartbeat();
  read_holds();
}

void World::carry_out(const Actions& actions) {
  for (const Action& action : actions) {
    std::visit([this](const auto& what) { perform(what); }, action);
  }
  arm();
}

void World::arm() {
  if (monitor_->next_wake() == armed_for_ || monitor_->next_wake() == SteadyTime::max()) return;
  armed_for_ = monitor_->next_wake();
  const auto delay = std::max(Milliseconds(0), std::chrono::ceil<Milliseconds>(armed_for_ - now_));
  tell(delay, [this](Now now) {
    if (now.steady >= armed_for_) armed_for_ = SteadyTime::min();
    return monitor_->on_time(now);
  });
}

// One request after another, as the Announcer does.
Milliseconds World::bird_delay(SteadyTime& busy_until) {
  const Milliseconds work(bird_.process == ProcessState::kHung ? 1000 : 1 + pick(3));
  busy_until = std::max(busy_until, now_) + work;
  return std::chrono::ceil<Milliseconds>(busy_until - now_);
}

void World::perform(const SetAnnouncement& set) {
  ++commands;
  if (set.level != Level::kWithdrawn) ++announcements;
  const Milliseconds delay = bird_delay(bird_busy_until_);
  tell(delay, [this, set](Now now) {
    const bgpctl::SetResult result = bird_.set(set.announcement, set.level, disk_full_);
    if (oracle_.last_sent[set.announcement] == set.level) oracle_.last_sent[set.announcement].reset();
    return monitor_->on_set(set, result, bird_.files[set.announcement], now);
  });
}

void World::perform(const WithdrawStranger& stranger) {
  EXPECT_EQ(stranger.announcement.name, bird_.old.name);
  const bool families = !stranger.announcement.prefixes.empty();
  if (!disk_full_) bird_.old_file = Level::kWithdrawn;
  tell(families ? bird_delay(bird_busy_until_) : Milliseconds(1), [this, families](Now now) {
    return monitor_->on_stranger_set(bird_.old.name, bird_.withdraw_old(families, disk_full_), now);
  });
}

void World::perform(const SaveDamping& save) {
  saved_[save.announcement] = damping_text(save.damping, wall(), boot_id());
}

// Written down anew, as the store does: from here on the monotonic clock of this boot tells the age.
Dampings World::read_dampings() {
  Dampings dampings(saved_.size());
  for (std::size_t i = 0; i < saved_.size(); ++i) {
    if (saved_[i].empty()) continue;
    const auto read = parse_damping(saved_[i], wall(), boot_id());
    EXPECT_TRUE(read.ok()) << read.status();
    if (!read.ok()) continue;
    dampings[i] = *read;
    saved_[i] = damping_text(*read, wall(), boot_id());
  }
  return dampings;
}

void World::perform(const LookAtBird&) {
  tell(bird_delay(bird_busy_until_), [this](Now now) {
    oracle_.bird_told = true;
    for (std::size_t i = 0; i < oracle_.routing.size() && bird_.answer().ok(); ++i) {
      oracle_.routing[i] = {bird_.established(), bird_.others[i] > 0};
    }
    monitor_->on_leftover_files(bird_.old_file == Level::kWithdrawn ? std::vector<std::string>()
                                                                    : std::vector<std::string>{bird_.old.name});
    return monitor_->on_bird(bird_.look(), bird_.state_files(), now);
  });
}

void World::perform(const ReadDataplaneState&) {
  tell(Milliseconds(dataplane_.process == ProcessState::kHung ? 1000 : 2), [this](Now now) {
    const auto state = dataplane_.state();
    if (state.ok()) {
      oracle_.state = *state;
      oracle_.state_read = now.steady;
    }
    return monitor_->on_dataplane_state(state, now);
  });
}

void World::perform(const PushHealth& push) {
  tell(Milliseconds(2), [this, update = push.update](Now now) {
    return monitor_->on_health_pushed(dataplane_.take_health(update), now);
  });
}

void World::probe(BackendId id) {
  const bool silent = now_ < silent_until_;
  const bool up = !silent && backend_up_[id.service][id.backend] && !chance(flake_);
  const Milliseconds took(up ? pick(20) : pick(300));
  tell(took, [this, id, up, silent, took](Now now) {
    oracle_.on_result(id, up, silent);
    const Actions actions = monitor_->on_probe(
        {id.service, id.backend},
        {up, up ? "HTTP 200" : "connection refused", silent ? Evidence::kSilence : Evidence::kAnswered}, now);
    const Milliseconds rest = std::max(Milliseconds(0), monitor_->probe_interval({id.service, id.backend}) - took);
    after(rest, [this, id, life = life_] {
      if (life == life_) probe(id);
    });
    return actions;
  });
}

void World::heartbeat() {
  const bool hung = dataplane_.process == ProcessState::kHung;
  const Milliseconds took(hung ? config_.monitor.heartbeat_timeout_ms : 1);
  tell(took, [this, took, hung](Now now) {
    const absl::StatusOr<dataplane_api::Heartbeat> beat =
        hung ? absl::DeadlineExceededError("no answer in time") : dataplane_.heartbeat();
    oracle_.on_heartbeat(beat, now.steady);
    const Milliseconds rest = std::max(Milliseconds(0), Milliseconds(config_.monitor.heartbeat_interval_ms) - took);
    after(rest, [this, life = life_] {
      if (life == life_) heartbeat();
    });
    return monitor_->on_heartbeat(beat, now);
  });
}

void World::read_holds() {
  tell(Milliseconds(pick(200)), [this](Now now) {
    Holds found = holds_;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!found[i].ok()) continue;
      if (*found[i] && (*found[i])->expires_unix_ms.value_or(now.unix_ms + 1) <= now.unix_ms) found[i] = std::nullopt;
      oracle_.holds[i] = *found[i];
      oracle_.hold_known[i] = true;
    }
    after(Milliseconds(50), [this, life = life_] {
      if (life == life_) read_holds();
    });
    return monitor_->on_holds(found, now);
  });
}

void World::read_drains() {
  tell(Milliseconds(pick(200)), [this](Now now) {
    std::vector<DrainOrder> orders;
    for (std::size_t s = 0; s < drained_.size(); ++s) {
      for (std::size_t b = 0; b < drained_[s].size(); ++b) {
        oracle_.drained[s][b] = drained_[s][b];
        const ServiceConfig& service = config_.services[s];
        if (drained_[s][b]) orders.push_back({service.name, service.backends[b].name, "disk swap", "alice", 0, {}});
      }
    }
    after(Milliseconds(200), [this, life = life_] {
      if (life == life_) read_drains();
    });
    return monitor_->on_drains(orders, now);
  });
}

void World::run_with_faults(Milliseconds duration) {
  const SteadyTime end = now_ + duration;
  while (now_ < end && !testing::Test::HasFailure()) {
    run_until(std::min(end, now_ + Milliseconds(1 + pick(2500))));
    fault();
  }
}

void World::run_quietly(Milliseconds duration) {
  disk_full_ = storm_ = bird_.conf_broken = keep_conf_broken_ = false;
  flake_ = 0;
  silent_until_ = now_;
  if (bird_.process != ProcessState::kRunning) bird_.restart();
  dataplane_.worker_age_ms = 0;
  if (dataplane_.process == ProcessState::kHung) dataplane_.process = ProcessState::kRunning;
  for (auto& hold : holds_) {
    if (!hold.ok() || (*hold && (*hold)->expires_unix_ms)) hold = std::nullopt;
  }
  bird_.sessions_up.assign(2, true);
  if (!monitor_) start_monitor();
  run_until(now_ + duration);
}

// What the conditions allow, with so much more than the limits.
bgpctl::Level World::deserved(std::size_t announcement, unsigned margin_percent) const {
  const AnnouncementConfig& wanted = config_.announcements[announcement];
  if (wanted.canary) return Level::kAnnounced;
  if (dataplane_.process != ProcessState::kRunning) return Level::kWithdrawn;
  const unsigned in_percent = std::min(100U, wanted.min_healthy_percent + margin_percent);
  const unsigned full_percent = std::min(100U, std::max(wanted.drain_below_percent + margin_percent, in_percent));
  std::size_t in = 0;
  std::size_t full = 0;
  for (const std::string& name : wanted.services) {
    const auto s = static_cast<std::size_t>(config_.find_service(name) - config_.services.data());
    unsigned usable = 0;
    unsigned total = 0;
    for (std::size_t b = 0; b < backend_up_[s].size(); ++b) {
      const unsigned weight = config_.services[s].backends[b].weight;
      total += weight;
      if (backend_up_[s][b] && !drained_[s][b] && dataplane_.backend({s, b}).resolved) usable += weight;
    }
    if (usable * 100 >= total * in_percent) ++in;
    if (usable * 100 >= total * (wanted.drain_below_percent == 0 ? in_percent : full_percent)) ++full;
  }
  const std::size_t needed = wanted.required_services == 0 ? wanted.services.size() : wanted.required_services;
  return full >= needed ? Level::kAnnounced : in >= needed ? Level::kDrained : Level::kWithdrawn;
}

// Every level that may be right once nothing has changed for a while. A level that was lost needs the margin to come
// back, a latch may need a person, and who is the last announcer stays as he is.
std::vector<bgpctl::Level> World::right_levels(std::size_t announcement) const {
  const AnnouncementConfig& wanted = config_.announcements[announcement];
  const auto& hold = *holds_[announcement];
  if (hold && hold->kind == bgpctl::HoldKind::kAnnounce) return {Level::kAnnounced};
  const Damping& damping = monitor_->decision(announcement).memory.damping;
  std::vector<Level> levels{deserved(announcement, 0)};
  if (damping.lost) {
    const Level least = deserved(announcement, wanted.return_margin_percent);
    for (const Level level : {Level::kWithdrawn, Level::kDrained}) {
      if (level >= least && level < levels.front()) levels.push_back(level);
    }
  }
  if (damping.latched) levels.insert(levels.end(), {Level::kWithdrawn, Level::kDrained});
  const bool alone = wanted.keep_last && bird_.others[announcement] == 0;
  if (alone && levels.front() == Level::kWithdrawn) levels.push_back(Level::kDrained);
  if (hold) {
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
  EXPECT_FALSE(bird_.announces_old()) << "it is not in pop.yaml";
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
    if (!dataplane_.backend({s, b}).healthy && !drained_[s][b]) out += service.backends[b].weight;
  }
  const bool panic = up * 100 < total * service.panic_percent;
  EXPECT_LE(out * 100, total * service.max_ejected_percent) << "more is out than may be";
  for (std::size_t b = 0; b < backend_up_[s].size(); ++b) {
    const dataplane_api::BackendState& told = dataplane_.backend({s, b});
    if (drained_[s][b]) {
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
