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
#include "sim_orders.h"
#include "sim_router.h"

namespace anypop::healthmon::sim {

// How fast its checks and heartbeats are, and how long its hold-downs: for seconds of faults, or for days of them.
enum class Pace { kSeconds, kDays };

// What somebody between the monitor and its world may get wrong, so that the judge has something to see: what is read
// is not so, or what is ordered is not done.
enum class Lie {
  kNone,
  kDataplaneNeverDies,
  kAnnouncementsAreLost,
  kWithdrawalsAreLost,
  kBirdKeepsEveryOrder,  // whatever others do to it
  kHoldsAreForgottenAtAStart,
  kHoldsComeBack,
  kDrainHoldsAreUnknown,
  kHoldDownsNeverEnd,
};

class World {
 public:
  explicit World(std::uint64_t seed, Pace pace = Pace::kSeconds);

  void begin_to_lie(Lie lie) { lie_ = lie; }
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

  std::uint64_t steps() const { return steps_; }
  std::uint64_t updates() const { return routers_[0].updates + routers_[1].updates; }
  // The longest of all announcements, in milliseconds.
  std::int64_t longest_wrongly_there() const { return longest(wrongly_there_); }
  std::int64_t longest_missing() const { return longest(missing_); }
  std::int64_t longest_against_order() const { return longest(against_order_); }

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
  bgpctl::SetResult announce_unless_held(std::size_t announcement, Level level, Now now);
  void read_orders();
  void watch_orders();
  void poll_orders();
  void configure_again();
  void watch_the_routers();
  bool nobody_can() const;
  Level at_routers(std::size_t announcement) const;
  void judge_at_routers(std::size_t announcement);
  void judge_order(std::size_t announcement, const bgpctl::Hold* order, Level there);
  bool cannot_serve(std::size_t announcement) const;
  bool must_be_there(std::size_t announcement) const;
  Milliseconds patience(std::size_t announcement) const;
  Milliseconds verdict_time() const;
  bool is_drained(BackendId id) const { return orders_.drained(id, wall().unix_ms); }
  void expect_told(std::size_t service) const;
  Level deserved(std::size_t announcement, unsigned margin_percent) const;
  std::vector<Level> right_levels(std::size_t announcement) const;

  absl::StatusOr<dataplane_api::Heartbeat> heard_heartbeat();
  absl::StatusOr<dataplane_api::State> heard_state();
  Holds heard_holds(std::int64_t now_ms);
  absl::StatusOr<bgpctl::BirdView> seen_in_bird();
  bool is_lost(Level level) const;

  void fault();
  void backend_fault();
  void dataplane_fault();
  void kill_dataplane();
  void restart_dataplane();
  void bird_fault();
  void hold_fault();
  void drain_fault(BackendId id);
  std::optional<std::int64_t> some_expiry();
  void lose_monitor();
  void lease();
  void step_wall_clock(std::int64_t by_ms);
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
  std::vector<std::vector<std::size_t>> services_;  // of each announcement
  Orders orders_;
  unsigned order_watch_ = 0;
  std::uint64_t steps_ = 0;
  SteadyTime now_{std::chrono::hours(1)};
  std::int64_t wall_offset_ms_ = 1'800'000'000'000;
  std::multimap<SteadyTime, Task> queue_;
  BirdModel bird_;
  DataplaneModel dataplane_;
  Oracle oracle_;
  std::unique_ptr<MonitorCore> monitor_;
  unsigned life_ = 0;  // of the monitor
  SteadyTime stalled_until_;
  SteadyTime wake_at_;  // when the monitor wants to be told of the time
  SteadyTime last_wake_;
  unsigned wakes_ = 0;  // at that same instant
  SteadyTime bird_busy_until_;
  bool disk_full_ = false;
  double flake_ = 0;
  std::vector<std::vector<bool>> backend_up_;
  SteadyTime silent_until_;         // no probe is answered
  std::vector<std::string> saved_;  // files with the announcements' damping; empty: none
  unsigned boots_ = 1;
  bool wall_stepped_ = false;  // since the last boot
  Lie lie_ = Lie::kNone;
  std::optional<dataplane_api::Heartbeat> last_heartbeat_;
  std::optional<dataplane_api::State> last_state_;
  Holds first_holds_;  // of this monitor's life
  std::vector<std::optional<bgpctl::Hold>> last_holds_;
  BirdModel obedient_;  // a BIRD that only the monitor changes
  bool storm_ = false;
  bool keep_conf_broken_ = false;
  std::vector<RouterModel> routers_;    // one for each session
  std::vector<Overdue> wrongly_there_;  // by announcement, and last the one that pop.yaml has no more
  std::vector<Overdue> missing_;
  std::vector<Overdue> against_order_;
  std::vector<Milliseconds> hold_down_;  // since it is missing, the longest
  std::map<std::size_t, std::string> judged_order_;
  std::vector<Level> exported_;
  SteadyTime watch_at_;
  SteadyTime quiet_since_;
  static constexpr Milliseconds kWatchInterval{20};
  static constexpr Milliseconds kOrderPoll{20'000};
  // Beside the probes' and heartbeats' time: the age at which next hops are too old, and what a command takes.
  static constexpr Milliseconds kState{3500};
  static constexpr Milliseconds kStranger{4000};
  static constexpr Milliseconds kOrder{3000};
};

}  // namespace anypop::healthmon::sim
