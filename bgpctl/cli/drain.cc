// SPDX-License-Identifier: Apache-2.0
#include <thread>
#include <utility>

#include "base/text.h"
#include "bgpctl/announcement.h"
#include "dry_run.h"
#include "quiet.h"
#include "status.h"
#include "steps.h"
#include "traffic.h"

namespace anypop::bgpctl {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kSampleInterval{500};
constexpr std::chrono::seconds kReadBackPatience{5};

// One announcement on its way out.
struct Leaving {
  AnnouncementConfig announcement;
  Hold hold;  // the drain hold that was placed
  QuietWatch watch;
  std::string ended;  // why the waiting for it is over; empty: it is not
  double waited_s = 0;
};

double quiet_pps(const Order& order, const AnnouncementConfig& announcement) {
  return order.quiet_pps.value_or(announcement.drain.quiet_pps);
}

std::chrono::milliseconds quiet_for(const Order& order, const AnnouncementConfig& announcement) {
  return std::chrono::milliseconds(order.quiet_for_ms.value_or(announcement.drain.quiet_s * 1000LL));
}

// Of an order that is to withdraw later. `--for` begins at the withdrawal; until then the hold must not end by itself,
// or what is drained would be announced in full before it goes. Somebody kills us: it ends all the same.
Hold interim_hold(const Order& order) {
  constexpr std::chrono::milliseconds kFinishPatience{60'000};
  Hold hold = hold_of(order, HoldKind::kDrain);
  if (order.for_ms) *hold.expires_unix_ms += (order.timeout + kFinishPatience).count();
  return hold;
}

// Why the order is not ours to carry on any more: somebody has ended or replaced its hold. Empty: it is ours.
std::string ended_by_others(const PopConfig& config, const Leaving& leaving) {
  const auto now = load_hold(config, leaving.announcement.name, now_unix_ms());
  if (!now.ok()) return fmt::format("somebody else: {}", message(now.status()));
  if (!*now) return "somebody else: its hold is gone";
  const Hold& hold = **now;
  const Hold& ours = leaving.hold;
  if (hold.kind == ours.kind && hold.who == ours.who && hold.placed_unix_ms == ours.placed_unix_ms) return {};
  return fmt::format("somebody else: {}", hold_text(hold, now_unix_ms()));
}

// What is out stays out: draining it would announce it.
bool is_out_already(const PopConfig& config, const AnnouncementConfig& announcement) {
  const absl::StatusOr<Level> file = read_state_file(config, announcement);
  return !file.ok() || *file == Level::kWithdrawn;
}

// What the real run would do, announcement by announcement.
int dry_run(const PopConfig& config, const Order& order) {
  DryRun plan(config, order);
  for (const AnnouncementConfig& announcement : order.announcements) {
    const auto hold = load_hold(config, announcement.name, now_unix_ms());
    const bool held_out = hold.ok() && *hold && (*hold)->kind == HoldKind::kWithdraw;
    if (held_out || is_out_already(config, announcement)) {
      plan.say(announcement, "is out already, which would be checked");
      if (!held_out) plan.hold(announcement, hold_of(order, order.wait ? HoldKind::kWithdraw : HoldKind::kDrain));
      continue;
    }
    plan.hold(announcement, order.wait ? interim_hold(order) : hold_of(order, HoldKind::kDrain));
    plan.set(announcement, Level::kDrained);
    if (!order.wait) continue;
    plan.say(announcement,
             fmt::format("would wait for at most {} s until at most {} packets/s arrive for {} ms, and then:",
                         order.timeout.count() / 1000, quiet_pps(order, announcement),
                         quiet_for(order, announcement).count()));
    plan.hold(announcement, hold_of(order, HoldKind::kWithdraw));
    plan.set(announcement, Level::kWithdrawn);
  }
  return plan.finish();
}

// A rollout that drains one PoP after the other must not take out the last one. Whoever wants that says `withdraw`.
bool is_the_last(Bird& bird, const AnnouncementConfig& announcement, std::string_view stays, Report& report) {
  if (!announcement.keep_last) return false;
  const absl::StatusOr<BirdView> view = bird.look();
  if (!view.ok() || has_others(announcement, *view).value_or(true)) return false;
  report.bad(announcement.name, fmt::format("{}: keep_last, and BIRD knows nobody else who announces it; `bgpctl "
                                            "withdraw` takes it out all the same",
                                            stays));
  return true;
}

// What is out already is seen to be out, or taken out again. True: it is out; else that is reported.
bool is_seen_out(const PopConfig& config, Bird& bird, const AnnouncementConfig& announcement, Report& report) {
  const ReadBack first = read_back(bird, announcement, Level::kWithdrawn, Clock::now());
  if (first.status.ok() && reached(first.standing, Level::kWithdrawn)) return true;
  const auto end = Clock::now() + kReadBackPatience;
  if (!set(config, bird, announcement, Level::kWithdrawn, end, report)) return false;
  const ReadBack again = read_back(bird, announcement, Level::kWithdrawn, end);
  if (again.status.ok() && reached(again.standing, Level::kWithdrawn)) return true;
  report_withdrawn(announcement, again, report);
  return false;
}

// Health or an order has taken it out: that is held, and seen.
void begin_withdrawn(const PopConfig& config, const Order& order, Bird& bird, const AnnouncementConfig& announcement,
                     const std::optional<Hold>& hold, Report& report) {
  const std::string& name = announcement.name;
  if (hold) {
    if (is_seen_out(config, bird, announcement, report)) {
      report.good(name, "is out already: " + hold_text(*hold, now_unix_ms()));
    }
    return;
  }
  if (!place(config, hold_of(order, order.wait ? HoldKind::kWithdraw : HoldKind::kDrain), name, report)) return;
  if (!is_seen_out(config, bird, announcement, report)) return;
  report.good(name, order.wait ? "is out already, and now held out"
                               : "is out already; when health brings it back, it is drained");
}

// Hold, level, read-back. The hold: there is traffic to wait for.
std::optional<Hold> begin(const PopConfig& config, const Order& order, Bird& bird,
                          const AnnouncementConfig& announcement, Report& report) {
  const std::string& name = announcement.name;
  const auto found = load_hold(config, name, now_unix_ms());
  if (found.ok() && *found && (*found)->kind == HoldKind::kWithdraw) {
    begin_withdrawn(config, order, bird, announcement, *found, report);
    return std::nullopt;
  }
  if (is_out_already(config, announcement)) {
    begin_withdrawn(config, order, bird, announcement, std::nullopt, report);
    return std::nullopt;
  }
  if (order.wait && is_the_last(bird, announcement, "not drained", report)) return std::nullopt;
  const Hold hold = order.wait ? interim_hold(order) : hold_of(order, HoldKind::kDrain);
  if (!place(config, hold, name, report)) return std::nullopt;
  const auto end = Clock::now() + kReadBackPatience;
  if (!set(config, bird, announcement, Level::kDrained, end, report)) return std::nullopt;
  const ReadBack back = read_back(bird, announcement, Level::kDrained, end);
  if (!order.wait || !back.status.ok() || !reached(back.standing, Level::kDrained)) {
    report_drained(announcement, back, report);
    return std::nullopt;
  }
  report.progress(name,
                  fmt::format("drained: {} sessions are told to prefer another PoP; waiting until its traffic has left",
                              back.standing.drained_to.size()));
  return hold;
}

void look_at_traffic(const PopConfig& config, Leaving& leaving, Clock::time_point start) {
  const absl::StatusOr<Traffic> traffic = ask_traffic(config, leaving.announcement);
  const auto now = Clock::now();
  leaving.waited_s = std::chrono::duration<double>(now - start).count();
  if (traffic.ok()) {
    leaving.watch.sample(traffic->instance, traffic->packets, now);
    if (leaving.watch.quiet(now)) leaving.ended = "quiet";
  } else {
    leaving.watch.unknown();
    if (absl::IsUnavailable(traffic.status())) leaving.ended = "no dataplane";
  }
  // The monitor found a fault meanwhile: nothing is left to wait for.
  if (is_out_already(config, leaving.announcement)) leaving.ended = "withdrawn by the monitor";
  if (std::string others = ended_by_others(config, leaving); !others.empty()) leaving.ended = std::move(others);
}

void wait_until_quiet(const PopConfig& config, std::vector<Leaving>& leaving, Clock::time_point end) {
  const auto start = Clock::now();
  for (;;) {
    bool all = true;
    for (Leaving& one : leaving) {
      if (one.ended.empty()) look_at_traffic(config, one, start);
      if (one.ended.empty() && Clock::now() >= end) one.ended = "deadline";
      all = all && !one.ended.empty();
    }
    if (all) return;
    std::this_thread::sleep_until(std::min(Clock::now() + kSampleInterval, end));
  }
}

std::string rate_text(const Leaving& leaving) {
  return leaving.watch.pps() ? fmt::format("{:.1f} packets/s", *leaving.watch.pps()) : "packets unknown";
}

void finish(const PopConfig& config, const Order& order, Bird& bird, const Leaving& leaving, Report& report) {
  const std::string& name = leaving.announcement.name;
  const auto pps = leaving.watch.pps() ? json::value(*leaving.watch.pps()) : json::value(nullptr);
  std::string others = ended_by_others(config, leaving);
  bool last = false;
  if (others.empty()) {
    last = is_the_last(bird, leaving.announcement, "drained and held, but not withdrawn", report);
    if (!last) others = ended_by_others(config, leaving);  // BIRD may have taken its time
  }
  report.log_drain(name, others.empty() ? leaving.ended : others, leaving.waited_s, pps);
  if (!others.empty()) return report.bad(name, fmt::format("ended by {}; nothing is changed", others));
  if (last) return;
  if (!place(config, hold_of(order, HoldKind::kWithdraw), name, report)) return;
  const auto end = Clock::now() + kReadBackPatience;
  if (!set(config, bird, leaving.announcement, Level::kWithdrawn, end, report)) return;
  const ReadBack back = read_back(bird, leaving.announcement, Level::kWithdrawn, end);
  if (!back.status.ok() || !reached(back.standing, Level::kWithdrawn)) {
    return report_withdrawn(leaving.announcement, back, report);
  }
  report.good(name,
              fmt::format("drained and withdrawn: {} after {:.1f} s, {} at the end; exported to none of {} established "
                          "sessions; forwarding goes on",
                          leaving.ended, leaving.waited_s, rate_text(leaving), back.standing.not_exported_to.size()),
              {{"ended", leaving.ended}, {"waited_s", leaving.waited_s}, {"pps", pps}});
}

}  // namespace

int drain(const PopConfig& config, const Order& order) {
  if (order.dry_run) return dry_run(config, order);
  Report report(config, order);
  Bird bird(config);
  const auto end = Clock::now() + order.timeout;
  std::vector<Leaving> leaving;
  for (const AnnouncementConfig& announcement : order.announcements) {
    if (auto hold = begin(config, order, bird, announcement, report)) {
      leaving.push_back(
          {announcement, *std::move(hold), QuietWatch(quiet_pps(order, announcement), quiet_for(order, announcement))});
    }
  }
  wait_until_quiet(config, leaving, end);
  for (const Leaving& one : leaving) finish(config, order, bird, one, report);
  return report.finish();
}

}  // namespace anypop::bgpctl
