// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "base/text.h"
#include "bgpctl/printable.h"
#include "dry_run.h"
#include "monitor_state.h"
#include "status.h"
#include "steps.h"

namespace anypop::bgpctl {
namespace {

constexpr std::chrono::milliseconds kMonitorInterval{100};
constexpr std::chrono::seconds kReadBackPatience{5};

bool keeps_down(HoldKind kind) { return kind != HoldKind::kAnnounce; }

// Waits until the monitor wants `level` or more. The error says why it does not.
absl::Status monitor_wants(const PopConfig& config, const std::string& name, Level level, Clock::time_point end) {
  for (;;) {
    const absl::StatusOr<MonitorState> state = ask_monitor(config);
    if (state.ok() && state->announcements.contains(name) && state->announcements.at(name).level >= level)
      return absl::OkStatus();
    if (Clock::now() >= end) {
      if (!state.ok()) return state.status();
      if (!state->announcements.contains(name))
        return not_found("the monitor does not know it; reload it with this pop.yaml");
      const MonitorWish& wish = state->announcements.at(name);
      return deadline_exceeded("the monitor has it {}: {}{}", level_name(wish.level), printable(wish.cause),
                               hold_down_text(wish.hold_down_remaining_ms));
    }
    std::this_thread::sleep_for(kMonitorInterval);
  }
}

struct Return {
  AnnouncementConfig announcement;
  std::optional<Hold> hold;  // as it was found
};

// De-preferred first: what is wrong with it meets little traffic. False, and reported: it is held as before.
bool bring_in_drained(const PopConfig& config, Bird& bird, const Return& back, Clock::time_point end, Report& report) {
  const std::string& name = back.announcement.name;
  Hold drained = *back.hold;
  drained.kind = HoldKind::kDrain;
  absl::Status status = place_hold(config, name, drained, Beneath::kKeep);
  if (status.ok()) status = monitor_wants(config, name, Level::kDrained, end);
  if (status.ok()) {
    const ReadBack seen = read_back(bird, back.announcement, Level::kDrained, Clock::now() + kReadBackPatience);
    if (seen.status.ok() && reached(seen.standing, Level::kDrained)) {
      report.progress(name,
                      fmt::format("healthy; {} sessions have it again, de-preferred", seen.standing.drained_to.size()));
      return true;
    }
    status = seen.status.ok() ? deadline_exceeded("BIRD does not tell every session that it drains") : seen.status;
  }
  const absl::Status restored = place_hold(config, name, *back.hold, Beneath::kKeep);
  if (restored.ok() && back.hold->kind == HoldKind::kWithdraw) {
    set(config, bird, back.announcement, Level::kWithdrawn, Clock::now() + kReadBackPatience, report);
  }
  report.bad(name, fmt::format("not brought back, the hold is as before: {}", message(status)));
  return false;
}

void return_one(const PopConfig& config, const Order& order, Bird& bird, const Return& back, Clock::time_point end,
                Report& report) {
  const std::string& name = back.announcement.name;
  if (back.hold && keeps_down(back.hold->kind) && !bring_in_drained(config, bird, back, end, report)) return;
  bool was_held = false;
  if (!end_hold(config, order, keeps_down, Beneath::kDrop, name, report, was_held)) return;
  // What came in de-preferred at the last moment gets its time for the rest.
  const auto patience = back.hold ? std::max(end, Clock::now() + kReadBackPatience) : end;
  const absl::Status wanted = monitor_wants(config, name, Level::kAnnounced, patience);
  if (!wanted.ok()) return report.bad(name, message(wanted));
  report_announced(back.announcement,
                   read_back(bird, back.announcement, Level::kAnnounced, Clock::now() + kReadBackPatience), report);
}

int release_only(const PopConfig& config, const Order& order, const absl::Status& monitor) {
  Report report(config, order);
  for (const AnnouncementConfig& announcement : order.announcements) {
    bool was_held = false;
    if (!end_hold(config, order, keeps_down, Beneath::kDrop, announcement.name, report, was_held)) continue;
    report.good(announcement.name, was_held ? after_release(monitor) : "there was no drain or withdraw hold");
  }
  return report.finish();
}

}  // namespace

int undrain(const PopConfig& config, const Order& order) {
  if (order.dry_run) {
    DryRun plan(config, order);
    for (const AnnouncementConfig& announcement : order.announcements) {
      if (order.wait) {
        plan.say(announcement, fmt::format("would make {} a drain hold, and wait until the monitor announces '{}' "
                                           "de-preferred",
                                           hold_file(config, announcement).string(), announcement.name));
      }
      plan.remove(announcement, hold_file(config, announcement), ", if it is a withdraw or a drain hold");
    }
    return plan.finish();
  }
  const absl::Status monitor = ask_monitor(config).status();
  if (!order.wait) return release_only(config, order, monitor);
  Report report(config, order);
  Bird bird(config);
  const auto end = Clock::now() + order.timeout;
  for (const AnnouncementConfig& announcement : order.announcements) {
    const auto hold = load_hold(config, announcement.name, now_unix_ms());
    if (absl::IsUnavailable(monitor)) {
      report.bad(announcement.name,
                 "the monitor is not running, so nobody can say when it is healthy; nothing is changed, and `bgpctl "
                 "announce` announces without it");
    } else if (!hold.ok()) {
      report.bad(announcement.name, message(hold.status()));
    } else {
      return_one(config, order, bird, {announcement, *hold}, end, report);
    }
  }
  return report.finish();
}

}  // namespace anypop::bgpctl
