// SPDX-License-Identifier: Apache-2.0
#include "actions.h"

#include <cstdio>
#include <utility>

#include <boost/json/serialize.hpp>

#include "base/text.h"
#include "bgpctl/announcement.h"
#include "bgpctl/flaps.h"
#include "bgpctl/printable.h"
#include "dry_run.h"
#include "monitor_state.h"
#include "status.h"
#include "steps.h"

namespace anypop::bgpctl {
namespace {

namespace json = boost::json;

bool any(HoldKind) { return true; }
bool keeps_down(HoldKind kind) { return kind != HoldKind::kAnnounce; }

int dry_run_hold(const PopConfig& config, const Order& order, HoldKind kind) {
  DryRun plan(config, order);
  for (const AnnouncementConfig& announcement : order.announcements) {
    plan.hold(announcement, hold_of(order, kind));
    plan.set(announcement, highest_level(kind));
  }
  return plan.finish();
}

// Hold, level, read-back, for every announcement: first the orders, then the looking.
int hold_at(const PopConfig& config, const Order& order, HoldKind kind, Report& report,
            Places places = Places::kInstead) {
  if (order.dry_run) return dry_run_hold(config, order, kind);
  const Level level = highest_level(kind);
  const bool announced = level == Level::kAnnounced;
  Bird bird(config);
  const auto end = Clock::now() + order.timeout;
  // All holds before the first command: a BIRD that hangs must not keep the monitor from learning the others.
  std::vector<AnnouncementConfig> wanted;
  for (const AnnouncementConfig& announcement : order.announcements) {
    const bool held = place(config, hold_of(order, kind), announcement.name, report, places);
    // A withdrawal goes on without its hold; an announcement against health does not.
    if (held || !announced) wanted.push_back(announcement);
  }
  std::vector<AnnouncementConfig> taken;
  for (const AnnouncementConfig& announcement : wanted) {
    if (set(config, bird, announcement, level, end, report)) taken.push_back(announcement);
  }
  for (const AnnouncementConfig& announcement : taken) {
    const ReadBack back = read_back(bird, announcement, level, end);
    announced ? report_announced(announcement, back, report) : report_withdrawn(announcement, back, report);
  }
  return report.finish();
}

void warn_of_the_sick(const PopConfig& config, const Order& order, Report& report) {
  const absl::StatusOr<MonitorState> monitor = ask_monitor(config);
  if (!monitor.ok()) return;
  for (const AnnouncementConfig& announcement : order.announcements) {
    const auto at = monitor->announcements.find(announcement.name);
    if (at == monitor->announcements.end() || at->second.deserved != Level::kWithdrawn) continue;
    report.warn(
        fmt::format("'{}': health says withdrawn: {}; announced all the same, clients are sent to what does not "
                    "work",
                    announcement.name,
                    printable(at->second.deserved_cause.empty() ? at->second.cause : at->second.deserved_cause)));
  }
}

}  // namespace

int withdraw_above(const PopConfig& config, const Order& order, Report& report) {
  return hold_at(config, order, HoldKind::kWithdraw, report, Places::kAbove);
}
int withdraw(const PopConfig& config, const Order& order) {
  Report report(config, order);
  return hold_at(config, order, HoldKind::kWithdraw, report);
}
int force_announce(const PopConfig& config, const Order& order) {
  Report report(config, order);
  warn_of_the_sick(config, order, report);
  return hold_at(config, order, HoldKind::kAnnounce, report);
}

int announce(const PopConfig& config, const Order& order) {
  const absl::StatusOr<MonitorState> monitor = ask_monitor(config);
  const bool alone = absl::IsUnavailable(monitor.status());
  if (order.dry_run) {
    DryRun plan(config, order);
    for (const AnnouncementConfig& announcement : order.announcements) {
      plan.remove(announcement, hold_file(config, announcement), ", if it is a withdraw or a drain hold");
      plan.remove(announcement, flaps_file(config, announcement.name), ", which ends a hold-down");
      if (alone) plan.set(announcement, Level::kAnnounced);
      if (!alone) plan.say(announcement, fmt::format("would wait until the monitor announces '{}'", announcement.name));
    }
    return plan.finish();
  }
  Report report(config, order);
  Bird bird(config);
  const auto end = Clock::now() + order.timeout;
  std::vector<std::pair<AnnouncementConfig, Level>> released;
  bool was_held = false;
  for (const AnnouncementConfig& announcement : order.announcements) {
    if (!end_hold(config, order, keeps_down, Beneath::kKeep, announcement.name, report, was_held)) continue;
    // A person says that it is good: no hold-down, no latch.
    if (absl::Status forgotten = forget_flaps(config, announcement.name); !forgotten.ok()) {
      report.warn(message(forgotten));
    }
    // The lease's hold is over; an operator's drain that waited beneath it is not.
    released.emplace_back(announcement, was_held ? level_left(config, announcement.name, report) : Level::kAnnounced);
  }
  for (const auto& [announcement, level] : released) {
    alone ? announce_without_monitor(config, bird, announcement, level, end, report)
          : wait_for_monitor(config, bird, announcement, level, end, report);
  }
  return report.finish();
}

int release(const PopConfig& config, const Order& order) {
  if (order.dry_run) {
    DryRun plan(config, order);
    for (const AnnouncementConfig& announcement : order.announcements) {
      plan.remove(announcement, hold_file(config, announcement), "");
    }
    return plan.finish();
  }
  Report report(config, order);
  const absl::Status monitor = ask_monitor(config).status();
  for (const AnnouncementConfig& announcement : order.announcements) {
    bool was_held = false;
    if (!end_hold(config, order, any, Beneath::kKeep, announcement.name, report, was_held)) continue;
    if (was_held) (void)level_left(config, announcement.name, report);
    report.good(announcement.name, was_held ? after_release(monitor) : "there was no hold");
  }
  return report.finish();
}

int list_holds(const PopConfig& config, bool as_json) {
  int exit_code = 0;
  json::object all;
  for (const AnnouncementConfig& announcement : config.announcements) {
    const auto hold = load_hold(config, announcement.name, now_unix_ms());
    if (!hold.ok()) {
      fmt::print(stderr, "bgpctl: {}\n", message(hold.status()));
      exit_code = 1;
    } else if (*hold) {
      all[announcement.name] = hold_json(**hold);
      if (!as_json) fmt::print("{}: {}\n", announcement.name, hold_text(**hold, now_unix_ms()));
    }
  }
  if (as_json) fmt::print("{}\n", json::serialize(json::object{{"holds", all}}));
  if (!as_json && all.empty() && exit_code == 0) fmt::print("no holds\n");
  return exit_code;
}

}  // namespace anypop::bgpctl
