// SPDX-License-Identifier: Apache-2.0
#include "actions.h"

#include <cstdio>
#include <thread>

#include <boost/json/serialize.hpp>

#include "base/text.h"
#include "bgpctl/announcement.h"
#include "bgpctl/event_log.h"
#include "bird.h"
#include "facts.h"
#include "monitor_state.h"
#include "report.h"
#include "status.h"

namespace anypop::bgpctl {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kReadBackInterval{5};
constexpr std::chrono::milliseconds kMonitorInterval{50};

std::int64_t now_unix_ms() { return unix_now_ns() / 1'000'000; }

Hold hold_of(const Order& order, HoldKind kind) {
  const std::int64_t now = now_unix_ms();
  Hold hold{kind, order.reason, order.who, now, std::nullopt};
  if (order.for_ms) hold.expires_unix_ms = now + *order.for_ms;
  return hold;
}

std::filesystem::path hold_file(const PopConfig& config, const AnnouncementConfig& announcement) {
  return config.holds_dir() / (announcement.name + ".json");
}

void print_set(const PopConfig& config, const AnnouncementConfig& announcement, bool announced) {
  fmt::print("would write {}: {}", state_file_path(config, announcement).string(),
             state_file_text(announcement, announced));
  for (const std::string& name : protocol_names(announcement)) {
    fmt::print("would send to {}: {} \"{}\"\n", config.bird.socket, announced ? "enable" : "disable", name);
  }
}

int dry_run_hold(const PopConfig& config, const Order& order, HoldKind kind) {
  for (const AnnouncementConfig& announcement : order.announcements) {
    fmt::print("would write {}: {}\n", hold_file(config, announcement).string(),
               json::serialize(hold_json(hold_of(order, kind))));
    print_set(config, announcement, kind == HoldKind::kAnnounce);
  }
  return 0;
}

// Places the hold. False, and reported, if it could not be placed.
bool place(const PopConfig& config, const Order& order, HoldKind kind, const std::string& name, Report& report) {
  const Hold hold = hold_of(order, kind);
  const absl::Status placed = place_hold(config, name, hold);
  if (placed.ok()) {
    report.log_hold(name, hold);
  } else {
    report.bad(name, fmt::format("the hold is not placed, so the monitor may decide otherwise: {}", message(placed)));
  }
  return placed.ok();
}

bool is_on_disk(const PopConfig& config, const AnnouncementConfig& announcement, bool announced) {
  const absl::StatusOr<bool> found = read_state_file(config, announcement);
  return found.ok() && *found == announced;
}

// Sets the level and reports errors; an order that another process delays is given again until the deadline.
bool set(const PopConfig& config, Bird& bird, const AnnouncementConfig& announcement, bool announced,
         Clock::time_point end, Report& report) {
  SetResult result = bird.set(announcement, announced);
  while (absl::IsAborted(result.status) && Clock::now() < end) result = bird.set(announcement, announced);
  report.log_command(announcement.name, announced, result);
  if (result.status.ok()) return true;
  std::string text(message(result.status));
  const bool hangs = absl::IsDeadlineExceeded(result.status);
  if ((hangs || absl::IsUnavailable(result.status)) && is_on_disk(config, announcement, announced)) {
    text += fmt::format("; the state file is written: when BIRD comes back, it comes back {}", level_name(announced));
  }
  if (hangs && !announced) text += "; until then the routers keep the route";
  report.bad(announcement.name, text);
  return false;
}

struct ReadBack {
  absl::Status status = deadline_exceeded("not asked");
  AnnouncementStanding standing;
};

bool is_out(const AnnouncementStanding& at) { return !at.in_table && !at.partly_in_table && at.exported_to.empty(); }
bool is_in(const AnnouncementStanding& at) { return at.in_table && at.not_exported_to.empty(); }

// Looks until BIRD is at the level or the time is over.
ReadBack read_back(Bird& bird, const AnnouncementConfig& announcement, bool announced, Clock::time_point end) {
  ReadBack result;
  for (;;) {
    const absl::StatusOr<BirdView> view = bird.look();
    result.status = view.status();
    if (view.ok()) {
      result.standing = standing(announcement, *view);
      if (announced ? is_in(result.standing) : is_out(result.standing)) return result;
    }
    if (Clock::now() >= end) return result;
    // An `enable` that somebody sent before our `disable` may have been carried out after it.
    if (view.ok() && !announced && result.standing.in_table) bird.set(announcement, false);
    std::this_thread::sleep_for(kReadBackInterval);
  }
}

json::object standing_json(const AnnouncementStanding& at) {
  json::array exported;
  for (const std::string& name : at.exported_to) exported.emplace_back(name);
  return {{"in_table", at.in_table}, {"exported_to", exported}};
}

void report_withdrawn(const AnnouncementConfig& announcement, const ReadBack& back, Report& report) {
  const AnnouncementStanding& at = back.standing;
  const std::string& name = announcement.name;
  if (!back.status.ok()) {
    report.bad(name, fmt::format("BIRD took the order, but does not tell whether it is out: {}", message(back.status)));
  } else if (is_out(at)) {
    const std::size_t sessions = at.not_exported_to.size();
    report.good(name,
                fmt::format("withdrawn and held: exported to none of {} established sessions after {:.1f} ms", sessions,
                            report.elapsed_ms()),
                standing_json(at));
  } else if (at.exported_to.empty()) {
    report.bad(name, "BIRD still has it in the table, but exports it to nobody", standing_json(at));
  } else {
    report.bad(
        name,
        fmt::format("still exported to {} after {:.1f} ms: {}", fmt::join(at.exported_to, ", "), report.elapsed_ms(),
                    at.in_table ? "somebody keeps enabling it" : "another protocol of BIRD announces a prefix of it"),
        standing_json(at));
  }
}

void report_announced(const AnnouncementConfig& announcement, const ReadBack& back, Report& report) {
  const AnnouncementStanding& at = back.standing;
  const std::string& name = announcement.name;
  if (!back.status.ok()) {
    report.bad(name, fmt::format("does BIRD export it? {}", message(back.status)));
  } else if (is_in(at)) {
    report.good(name,
                fmt::format("announced: exported to {} of {} established sessions after {:.1f} ms",
                            at.exported_to.size(), at.exported_to.size(), report.elapsed_ms()),
                standing_json(at));
    if (at.exported_to.empty()) report.warn("no BGP session is established, so nobody learns it yet");
  } else if (at.in_table) {
    report.bad(
        name,
        fmt::format("in BIRD's table, but not exported to {}: does the export filter take `proto ~ \"anypop_*\"`?",
                    fmt::join(at.not_exported_to, ", ")),
        standing_json(at));
  } else {
    report.bad(name, "BIRD took the order, but does not have it in the table", standing_json(at));
  }
}

// Hold, level, read-back, for every announcement: first the orders, then the looking.
int hold_at(const PopConfig& config, const Order& order, HoldKind kind) {
  if (order.dry_run) return dry_run_hold(config, order, kind);
  const bool announced = kind == HoldKind::kAnnounce;
  Report report(config, order.json);
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
    if (set(config, bird, announcement, announced, end, report)) taken.push_back(announcement);
  }
  for (const AnnouncementConfig& announcement : taken) {
    const ReadBack back = read_back(bird, announcement, announced, end);
    announced ? report_announced(announcement, back, report) : report_withdrawn(announcement, back, report);
  }
  return report.finish();
}

// Removes the hold if it is of this kind (or of any), also one that cannot be read. False, and reported, on failure.
bool end_hold(const PopConfig& config, const Order& order, std::optional<HoldKind> kind, const std::string& name,
              Report& report, bool& was_held) {
  const auto hold = load_hold(config, name, now_unix_ms());
  was_held = !hold.ok() || hold->has_value();
  if (hold.ok() && *hold && kind && (*hold)->kind != *kind) {
    was_held = false;
    return true;
  }
  const absl::Status released = release_hold(config, name);
  if (!released.ok()) {
    report.bad(name, fmt::format("the hold is not released: {}", message(released)));
    return false;
  }
  if (!hold.ok()) report.warn(fmt::format("removed a hold that could not be read: {}", message(hold.status())));
  if (was_held) report.log_release(name, hold.ok() ? **hold : Hold{}, order.who);
  return true;
}

void announce_without_monitor(const PopConfig& config, Bird& bird, const AnnouncementConfig& announcement,
                              Clock::time_point end, Report& report) {
  if (!set(config, bird, announcement, true, end, report)) return;
  report_announced(announcement, read_back(bird, announcement, true, end), report);
  report.warn(
      fmt::format("the monitor is not running: nothing checks '{}' and nothing will withdraw it", announcement.name));
}

void wait_for_monitor(const PopConfig& config, Bird& bird, const AnnouncementConfig& announcement,
                      Clock::time_point end, Report& report) {
  const std::string& name = announcement.name;
  absl::StatusOr<MonitorState> state = ask_monitor(config);
  auto wants = [&] { return state.ok() && state->contains(name) && state->at(name).announce; };
  while (!wants() && Clock::now() < end) {
    std::this_thread::sleep_for(kMonitorInterval);
    state = ask_monitor(config);
  }
  if (wants()) return report_announced(announcement, read_back(bird, announcement, true, end), report);
  if (!state.ok())
    return report.bad(name, fmt::format("the monitor runs, but does not answer: {}; --force announces without it",
                                        message(state.status())));
  if (!state->contains(name)) return report.bad(name, "the monitor does not know it; restart it with this pop.yaml");
  const MonitorWish& wish = state->at(name);
  report.bad(name,
             fmt::format("the monitor does not announce it: {}{}", escaped(wish.cause),
                         wish.hold_down_remaining_ms > 0
                             ? fmt::format(" (hold-down for another {} ms)", wish.hold_down_remaining_ms)
                             : ""),
             {{"cause", wish.cause}, {"hold_down_remaining_ms", wish.hold_down_remaining_ms}});
}

}  // namespace

int withdraw(const PopConfig& config, const Order& order) { return hold_at(config, order, HoldKind::kWithdraw); }
int force_announce(const PopConfig& config, const Order& order) { return hold_at(config, order, HoldKind::kAnnounce); }

int announce(const PopConfig& config, const Order& order) {
  const absl::StatusOr<MonitorState> monitor = ask_monitor(config);
  const bool alone = absl::IsUnavailable(monitor.status());
  if (order.dry_run) {
    for (const AnnouncementConfig& announcement : order.announcements) {
      fmt::print("would remove {}, if it is a withdraw hold\n", hold_file(config, announcement).string());
      if (alone) print_set(config, announcement, true);
      if (!alone) fmt::print("would wait until the monitor announces '{}'\n", announcement.name);
    }
    return 0;
  }
  Report report(config, order.json);
  Bird bird(config);
  const auto end = Clock::now() + order.timeout;
  std::vector<AnnouncementConfig> released;
  bool was_held = false;
  for (const AnnouncementConfig& announcement : order.announcements) {
    if (end_hold(config, order, HoldKind::kWithdraw, announcement.name, report, was_held)) {
      released.push_back(announcement);
    }
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
  Report report(config, order.json);
  const bool alone = absl::IsUnavailable(ask_monitor(config).status());
  for (const AnnouncementConfig& announcement : order.announcements) {
    bool was_held = false;
    if (!end_hold(config, order, std::nullopt, announcement.name, report, was_held)) continue;
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
