// SPDX-License-Identifier: Apache-2.0
#include "sim_world.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace anypop::healthmon::sim {
namespace {

using bgpctl::Level;
using std::chrono::seconds;

IpPrefix prefix(const char* text) { return *IpPrefix::parse(text); }

PopConfig random_config(std::mt19937_64& random, Pace pace) {
  const bool days = pace == Pace::kDays;
  const auto from = [&](std::initializer_list<unsigned> values) {
    return *(values.begin() + random() % values.size());
  };
  PopConfig config;
  config.pop = "sim";
  config.monitor = {.heartbeat_interval_ms = 200, .heartbeat_timeout_ms = from({400, 700})};
  if (days) config.monitor = {.heartbeat_interval_ms = 1000, .heartbeat_timeout_ms = from({1500, 3500})};
  for (const char* name : {"web4", "web6", "dns"}) {
    ServiceConfig& service = config.services.emplace_back();
    service.name = name;
    service.probes = {{.interval_ms = days ? from({1000, 2000}) : from({400, 1000}),
                       .timeout_ms = 300,
                       .rise = from({1, 2, 3}),
                       .fall = from({1, 2, 3})}};
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
    announcement.hold_down_ms = days ? from({500, 3000, 60'000}) : from({0, 500, 3000});
    announcement.flaps = {.half_life_s = from({3, 10, 900}),
                          .latch_penalty = from({0, 2000, 4000}),
                          .reuse_penalty = from({0, 750}),
                          .hold_down_max_ms = days ? from({4000, 900'000}) : from({0, 4000})};
  }
  config.announcements.push_back({.name = "canary",
                                  .prefixes = {prefix("203.0.113.0/24")},
                                  .canary = true,
                                  .if_monitor_lost = MonitorLost::kKeep});
  return config;
}

}  // namespace

World::World(std::uint64_t seed, Pace pace)
    : random_(seed),
      config_(random_config(random_, pace)),
      orders_(config_),
      bird_(config_),
      dataplane_(config_),
      oracle_(config_),
      obedient_(config_) {
  saved_.resize(config_.announcements.size());
  routers_.assign(2, RouterModel(config_.announcements.size() + 1));
  wrongly_there_.resize(config_.announcements.size() + 1);
  missing_.resize(config_.announcements.size());
  against_order_.resize(config_.announcements.size());
  hold_down_.resize(config_.announcements.size());
  for (const AnnouncementConfig& announcement : config_.announcements) {
    services_.push_back(service_indices(config_, announcement));
  }
  for (const ServiceConfig& service : config_.services) {
    backend_up_.emplace_back(service.backends.size(), chance(0.8));
  }
  for (std::size_t i = 0; i < config_.announcements.size(); ++i) {
    bird_.files[i] = chance(0.5) ? Level::kAnnounced : Level::kWithdrawn;
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
    carry_out(event(wall()));
  });
}

void World::run_until(SteadyTime end) {
  for (;;) {
    const SteadyTime wake = monitor_ ? std::max(wake_at_, stalled_until_) : SteadyTime::max();
    const SteadyTime next = queue_.empty() ? wake : std::min(wake, queue_.begin()->first);
    if (next > end) break;
    now_ = std::max(now_, next);
    ++steps_;
    if (wake == next) {
      constexpr unsigned kManyWakes = 100;
      wakes_ = now_ == last_wake_ ? wakes_ + 1 : 0;
      last_wake_ = now_;
      if (wakes_ > kManyWakes) ADD_FAILURE() << "the monitor wants to be woken at once, again and again";
      wake_at_ = SteadyTime::max();
      carry_out(monitor_->on_time(wall()));
    } else {
      const Task task = std::move(queue_.begin()->second);
      queue_.erase(queue_.begin());
      task();
    }
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

void World::start_monitor() {
  ++life_;
  const StateFiles files = bird_.state_files();
  // An operator's word to a monitor that died before it heard.
  for (std::size_t i = 0; i < saved_.size(); ++i) {
    if (saved_[i].empty()) oracle_.books[i].forget();
  }
  monitor_ = std::make_unique<MonitorCore>(config_, files, read_dampings(), wall());
  for (auto* all : {&wrongly_there_, &against_order_}) {
    for (Overdue& one : *all) one.note(false, true, now_);  // it begins to count anew
  }
  wake_at_ = SteadyTime::max();
  first_holds_.clear();
  bird_busy_until_ = stalled_until_ = now_;
  oracle_.restart(files);
  oracle_.started = oracle_.heard = oracle_.state_read = now_;
  tell(Milliseconds(0), [this](Now now) { return monitor_->on_time(now); });
  for (std::size_t s = 0; s < config_.services.size(); ++s) {
    for (std::size_t b = 0; b < config_.services[s].backends.size(); ++b) probe({s, b});
  }
  heartbeat();
  poll_orders();
}

void World::carry_out(const Actions& actions) {
  oracle_.judge(*monitor_, actions, now_);
  for (const Action& action : actions) {
    std::visit([this](const auto& what) { perform(what); }, action);
  }
  // One timer, as the shell has it.
  const SteadyTime wake = monitor_->next_wake();
  wake_at_ =
      wake == SteadyTime::max() ? wake : now_ + std::max(Milliseconds(0), std::chrono::ceil<Milliseconds>(wake - now_));
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
    const bgpctl::SetResult result = announce_unless_held(set.announcement, set.level, now);
    if (oracle_.last_sent[set.announcement] == set.level) oracle_.last_sent[set.announcement].reset();
    return monitor_->on_set(set, result, bird_.files[set.announcement], now);
  });
}

// As the Announcer does it: a withdrawal asks nobody, an announcement looks at the hold once more.
bgpctl::SetResult World::announce_unless_held(std::size_t i, Level level, Now now) {
  if (level != Level::kWithdrawn) {
    const auto hold = orders_.read_hold(i, now.unix_ms);
    if (!hold.ok()) return {.status = hold.status()};
    if (*hold && level > bgpctl::highest_level((*hold)->kind)) return {.status = absl::FailedPreconditionError("held")};
  }
  if (is_lost(level)) return {};
  (void)obedient_.set(i, level, disk_full_);
  return bird_.set(i, level, disk_full_);
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
    if (lie_ == Lie::kHoldDownsNeverEnd) dampings[i].hold_down = std::chrono::hours(1);
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
    return monitor_->on_bird(seen_in_bird(),
                             lie_ == Lie::kBirdKeepsEveryOrder ? obedient_.state_files() : bird_.state_files(), now);
  });
}

void World::perform(const ReadDataplaneState&) {
  tell(Milliseconds(dataplane_.process == ProcessState::kHung ? 1000 : 2), [this](Now now) {
    const auto state = heard_state();
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
        hung && lie_ != Lie::kDataplaneNeverDies ? absl::DeadlineExceededError("no answer in time") : heard_heartbeat();
    oracle_.on_heartbeat(beat, now.steady);
    const Milliseconds rest = std::max(Milliseconds(0), Milliseconds(config_.monitor.heartbeat_interval_ms) - took);
    after(rest, [this, life = life_] {
      if (life == life_) heartbeat();
    });
    return monitor_->on_heartbeat(beat, now);
  });
}

void World::read_orders() {
  tell(Milliseconds(pick(200)), [this](Now now) {
    const Holds found = heard_holds(now.unix_ms);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!found[i].ok()) continue;
      oracle_.holds[i] = *found[i];
      oracle_.hold_known[i] = true;
    }
    return monitor_->on_holds(found, now);
  });
  tell(Milliseconds(pick(200)), [this](Now now) {
    const auto found = orders_.read_drains(now.unix_ms);
    oracle_.note_drains(*found);
    return monitor_->on_drains(found, now);
  });
}

// At once when something has changed, when the time of an order has come, and seldom otherwise: what was read before
// says nothing new, and a monitor that is never reminded must wake by itself for everything else.
void World::watch_orders() {
  read_orders();
  ++order_watch_;
  const auto next = orders_.next_expiry();
  if (!next) return;
  // Whose time has come is gone once it was read.
  const std::int64_t left_ms = *next - wall().unix_ms;
  const Milliseconds left(left_ms > 0 ? left_ms + 1 : 500);
  if (left > std::chrono::hours(100)) return;
  after(left, [this, watch = order_watch_] {
    if (watch == order_watch_) watch_orders();
  });
}

void World::poll_orders() {
  read_orders();
  after(kOrderPoll, [this, life = life_] {
    if (life == life_) poll_orders();
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
  orders_.release_what_ends();
  watch_orders();
  bird_.sessions_up.assign(2, true);
  if (!monitor_) start_monitor();
  quiet_since_ = now_;
  run_until(now_ + duration);
}

}  // namespace anypop::healthmon::sim
