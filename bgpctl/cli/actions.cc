// SPDX-License-Identifier: Apache-2.0
#include "actions.h"

#include <cstdio>

#include <boost/json/serialize.hpp>

#include "base/text.h"
#include "bgpctl/announcement.h"
#include "bgpctl/flaps.h"
#include "monitor_state.h"
#include "status.h"
#include "steps.h"

namespace anypop::bgpctl {
namespace {

namespace json = boost::json;

bool any(HoldKind) { return true; }
bool keeps_down(HoldKind kind) { return kind != HoldKind::kAnnounce; }

int dry_run_hold(const PopConfig& config, const Order& order, HoldKind kind) {
  for (const AnnouncementConfig& announcement : order.announcements) {
    fmt::print("would write {}: {}\n", hold_file(config, announcement).string(),
               json::serialize(hold_json(hold_of(order, kind))));
    print_set(config, announcement, highest_level(kind));
  }
  return 0;
}

// Hold, level, read-back, for every announcement: first the orders, then the looking.
int hold_at(const PopConfig& config, const Order& order, HoldKind kind, Report& report) {
  if (order.dry_run) return dry_run_hold(config, order, kind);
  const Level level = highest_level(kind);
  const bool announced = level == Level::kAnnounced;
  Bird bird(config);
  const auto end = Clock::now() + order.timeout;
  // All holds before the first command: a BIRD that hangs must not keep the monitor from learning the others.
  std::vector<AnnouncementConfig> wanted;
  for (const AnnouncementConfig& announcement : order.announcements) {
    const bool held = place(config, order, kind, announcement.name, report);
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

}  // namespace

int withdraw(const PopConfig& config, const Order& order, Report& report) {
  return hold_at(config, order, HoldKind::kWithdraw, report);
}
int withdraw(const PopConfig& config, const Order& order) {
  Report report(config, order);
  return withdraw(config, order, report);
}
int force_announce(const PopConfig& config, const Order& order) {
  Report report(config, order);
  return hold_at(config, order, HoldKind::kAnnounce, report);
}

int announce(const PopConfig& config, const Order& order) {
  const absl::StatusOr<MonitorState> monitor = ask_monitor(config);
  const bool alone = absl::IsUnavailable(monitor.status());
  if (order.dry_run) {
    for (const AnnouncementConfig& announcement : order.announcements) {
      fmt::print("would remove {}, if it is a withdraw or a drain hold\n", hold_file(config, announcement).string());
      fmt::print("would remove {}, which ends a hold-down\n", flaps_file(config, announcement.name).string());
      if (alone) print_set(config, announcement, Level::kAnnounced);
      if (!alone) fmt::print("would wait until the monitor announces '{}'\n", announcement.name);
    }
    return 0;
  }
  Report report(config, order);
  Bird bird(config);
  const auto end = Clock::now() + order.timeout;
  std::vector<AnnouncementConfig> released;
  bool was_held = false;
  for (const AnnouncementConfig& announcement : order.announcements) {
    if (!end_hold(config, order, keeps_down, announcement.name, report, was_held)) continue;
    // A person says that it is good: no hold-down, no latch.
    if (absl::Status forgotten = forget_flaps(config, announcement.name); !forgotten.ok()) {
      report.warn(message(forgotten));
    }
    released.push_back(announcement);
  }
  for (const AnnouncementConfig& announcement : released) {
    alone ? announce_without_monitor(config, bird, announcement, end, report)
          : wait_for_monitor(config, bird, announcement, end, report);
  }
  return report.finish();
}

int release(const PopConfig& config, const Order& order) {
  if (order.dry_run) {
    for (const AnnouncementConfig& announcement : order.announcements) {
      fmt::print("would remove {}\n", hold_file(config, announcement).string());
    }
    return 0;
  }
  Report report(config, order);
  const bool alone = absl::IsUnavailable(ask_monitor(config).status());
  for (const AnnouncementConfig& announcement : order.announcements) {
    bool was_held = false;
    if (!end_hold(config, order, any, announcement.name, report, was_held)) continue;
    if (!was_held) {
      report.good(announcement.name, "there was no hold");
    } else if (alone) {
      report.good(announcement.name,
                  "released; the monitor is not running, so nothing changes until it runs or "
                  "`bgpctl announce` is given");
    } else {
      report.good(announcement.name, "released; health decides again");
    }
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
