// SPDX-License-Identifier: Apache-2.0
// The simulated PoP: one clock, one queue of events, the models, a monitor that is started, stopped and stalled, and
// faults. The same seed gives the same run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "healthmon/monitor_core.h"
#include "sim_models.h"
#include "sim_oracle.h"
#include "sim_router.h"

namespace anypop::healthmon::sim {

class World {
 public:
  explicit World(std::uint64_t seed);

  // From now on, as long as there are faults: somebody runs `configure` a hundred times a second; bird.conf is broken.
  void storm_of_configures() {
    storm_ = true;
    configure_again();
  }
  void break_bird_conf() { bird_.conf_broken = keep_conf_broken_ = true; }
  // Random faults all the time.
  void run_with_faults(Milliseconds duration);
  // Everything that can be mended is; what is left stays as it is.
  void run_quietly(Milliseconds duration);
  void expect_converged() const;

  std::uint64_t commands = 0;  // over the run, so that a test can see that it did something
  std::uint64_t announcements = 0;
  std::uint64_t second_opinions() const { return oracle_.second_opinions; }
  std::uint64_t kept_last() const { return oracle_.kept; }
  std::uint64_t falls() const {
    std::uint64_t sum = 0;
    for (const FlapBook& book : oracle_.books) sum += book.falls;
    return sum;
  }
  std::uint64_t latches() const {
    std::uint64_t sum = 0;
    for (const FlapBook& book : oracle_.books) sum += book.latches;
    return sum;
  }

  std::uint64_t updates() const { return routers_[0].updates + routers_[1].updates; }
  // The longest of all announcements, in milliseconds.
  std::int64_t longest_wrongly_there() const { return longest(wrongly_there_); }
  std::int64_t longest_missing() const { return longest(missing_); }

 private:
  static std::int64_t longest(const std::vector<Overdue>& all) {
    Milliseconds most{0};
    for (const Overdue& one : all) most = std::max(most, one.longest);
    return most.count();
  }
  using Task = std::function<void()>;

  bool chance(double probability) { return std::uniform_real_distribution<>(0, 1)(random_) < probability; }
  std::size_t pick(std::size_t count) { return random_() % count; }
  template <typename T>
  T one_of(std::initializer_list<T> values) {
    return *(values.begin() + pick(values.size()));
  }
  void after(Milliseconds delay, Task task) { queue_.emplace(now_ + delay, std::move(task)); }
  // For the monitor that lives now; dropped if it has died by then, late if it is stalled.
  void tell(Milliseconds delay, std::function<Actions(Now)> event);
  void run_until(SteadyTime end);
  void arm();

  void start_monitor();
  void stop_monitor() {
    monitor_.reset();
    ++life_;
  }
  void carry_out(const Actions& actions);
  void perform(const SetAnnouncement& set);
  void perform(const WithdrawStranger& stranger);
  void perform(const LookAtBird&);
  void perform(const ReadDataplaneState&);
  void perform(const PushHealth& push);
  void perform(const SaveDamping& save);
  void perform(const Record&) {}
  void perform(const Note&) {}
  Milliseconds bird_delay(SteadyTime& busy_until);

  void probe(BackendId id);
  void heartbeat();
  void read_holds();
  void read_drains();
  void configure_again();
  void watch_the_routers();
  bool cannot_serve(std::size_t announcement) const;
  bool must_be_there(std::size_t announcement) const;
  Milliseconds patience(std::size_t announcement) const;
  void expect_told(std::size_t service) const;
  bgpctl::Level deserved(std::size_t announcement, unsigned margin_percent) const;
  std::vector<bgpctl::Level> right_levels(std::size_t announcement) const;

  void fault();
  void backend_fault();
  void dataplane_fault();
  void kill_dataplane();
  void restart_dataplane();
  void bird_fault();
  void hold_fault();
  void monitor_fault();
  void routing_fault();
  void damping_fault();
  void reboot();
  void reload();
  Dampings read_dampings();
  std::string boot_id() const { return std::to_string(boots_); }
  Now wall() const {
    return {now_, std::chrono::duration_cast<Milliseconds>(now_.time_since_epoch()).count() + wall_offset_ms_};
  }

  std::mt19937_64 random_;
  PopConfig config_;
  SteadyTime now_{std::chrono::hours(1)};
  std::int64_t wall_offset_ms_ = 1'800'000'000'000;
  std::multimap<SteadyTime, Task> queue_;
  BirdModel bird_;
  DataplaneModel dataplane_;
  Oracle oracle_;
  std::unique_ptr<MonitorCore> monitor_;
  unsigned life_ = 0;  // of the monitor
  SteadyTime stalled_until_;
  SteadyTime armed_for_;
  SteadyTime bird_busy_until_;
  bool disk_full_ = false;
  double flake_ = 0;
  std::vector<std::vector<bool>> backend_up_;
  std::vector<std::vector<bool>> drained_;
  SteadyTime silent_until_;  // no probe is answered
  Holds holds_;
  std::vector<std::string> saved_;  // files with the announcements' damping; empty: none
  unsigned boots_ = 1;
  bool wall_stepped_ = false;  // since the last boot
  bool storm_ = false;
  bool keep_conf_broken_ = false;
  std::vector<RouterModel> routers_;    // one for each session
  std::vector<Overdue> wrongly_there_;  // by announcement, and last the one that pop.yaml has no more
  std::vector<Overdue> missing_;
  SteadyTime watch_at_;
  static constexpr Milliseconds kWatchInterval{20};
};

}  // namespace anypop::healthmon::sim
