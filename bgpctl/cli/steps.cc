// SPDX-License-Identifier: Apache-2.0
#include "steps.h"

#include <thread>

#include "base/duration.h"
#include "base/text.h"
#include "bgpctl/announcement.h"
#include "bgpctl/event_log.h"
#include "bgpctl/printable.h"
#include "monitor_state.h"
#include "status.h"

namespace anypop::bgpctl {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kReadBackInterval{5};
constexpr std::chrono::milliseconds kMonitorInterval{50};

bool is_on_disk(const PopConfig& config, const AnnouncementConfig& announcement, Level level) {
  const absl::StatusOr<Level> found = read_state_file(config, announcement);
  return found.ok() && *found == level;
}

bool is_out(const AnnouncementStanding& at) { return !at.in_table && !at.partly_in_table && at.exported_to.empty(); }
bool is_in(const AnnouncementStanding& at) { return at.in_table && at.not_exported_to.empty(); }

json::array names_json(const std::vector<std::string>& names) {
  json::array array;
  for (const std::string& name : names) array.emplace_back(name);
  return array;
}

json::object standing_json(const AnnouncementStanding& at) {
  return {{"in_table", at.in_table},
          {"exported_to", names_json(at.exported_to)},
          {"drained_to", names_json(at.drained_to)}};
}

}  // namespace

void report_at(Level level, const AnnouncementConfig& announcement, const ReadBack& back, Report& report) {
  switch (level) {
    case Level::kWithdrawn: return report_withdrawn(announcement, back, report);
    case Level::kDrained: return report_drained(announcement, back, report);
    case Level::kAnnounced: break;
  }
  report_announced(announcement, back, report);
}

bool reached(const AnnouncementStanding& at, Level level) {
  switch (level) {
    case Level::kWithdrawn: return is_out(at);
    case Level::kDrained:
      return is_in(at) && at.level == Level::kDrained && at.drained_to.size() == at.exported_to.size();
    case Level::kAnnounced: break;
  }
  return is_in(at) && at.drained_to.empty();
}

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

bool place(const PopConfig& config, const Hold& hold, const std::string& name, Report& report, Places places) {
  const auto before = load_hold(config, name, now_unix_ms());
  const absl::Status placed =
      places == Places::kAbove ? place_hold_above(config, name, hold) : place_hold(config, name, hold);
  if (!placed.ok()) {
    report.bad(name, fmt::format("the hold is not placed, so the monitor may decide otherwise: {}", message(placed)));
    return false;
  }
  report.log_hold(name, hold);
  const bool same_order = before.ok() && *before && (*before)->who == hold.who && (*before)->reason == hold.reason;
  if (before.ok() && *before && !same_order) {
    report.note(name, fmt::format("{} the hold of {}: {}", places == Places::kAbove ? "goes above" : "replaces",
                                  printable((*before)->who), hold_text(**before, now_unix_ms())));
  }
  return true;
}

bool set(const PopConfig& config, Bird& bird, const AnnouncementConfig& announcement, Level level,
         Clock::time_point end, Report& report) {
  SetResult result = bird.set(announcement, level);
  while (absl::IsAborted(result.status) && Clock::now() < end) result = bird.set(announcement, level);
  report.log_command(announcement.name, level, result);
  if (result.status.ok()) return true;
  std::string text(message(result.status));
  const bool hangs = absl::IsDeadlineExceeded(result.status);
  if ((hangs || absl::IsUnavailable(result.status)) && is_on_disk(config, announcement, level)) {
    text += fmt::format("; the state file is written: when BIRD comes back, it comes back {}", level_name(level));
  }
  if (hangs && level == Level::kWithdrawn) text += "; until then the routers keep the route";
  report.bad(announcement.name, text);
  return false;
}

ReadBack read_back(Bird& bird, const AnnouncementConfig& announcement, Level level, Clock::time_point end) {
  ReadBack result;
  for (;;) {
    const absl::StatusOr<BirdView> view = bird.look();
    result.status = view.status();
    if (view.ok()) {
      result.standing = standing(announcement, *view);
      if (reached(result.standing, level)) return result;
    }
    if (Clock::now() >= end) return result;
    // An `enable` that somebody sent before our `disable` may have been carried out after it.
    if (view.ok() && level == Level::kWithdrawn && result.standing.in_table) bird.set(announcement, level);
    std::this_thread::sleep_for(kReadBackInterval);
  }
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

void report_drained(const AnnouncementConfig& announcement, const ReadBack& back, Report& report) {
  const AnnouncementStanding& at = back.standing;
  const std::string& name = announcement.name;
  if (!back.status.ok()) {
    report.bad(name, fmt::format("does BIRD export it as drained? {}", message(back.status)));
  } else if (reached(at, Level::kDrained)) {
    report.good(name,
                fmt::format("drained and held: {} established sessions are told to prefer another PoP after {:.1f} ms",
                            at.drained_to.size(), report.elapsed_ms()),
                standing_json(at));
  } else {
    report.bad(
        name,
        fmt::format("only {} of {} sessions are told that it drains: is the text of `bgpctl render` in bird.conf, "
                    "and does no other protocol announce a prefix of it?",
                    at.drained_to.size(), at.exported_to.size() + at.not_exported_to.size()),
        standing_json(at));
  }
}

bool end_hold(const PopConfig& config, const Order& order, const std::function<bool(HoldKind)>& ends, Beneath beneath,
              const std::string& name, Report& report, bool& was_held) {
  const auto hold = load_hold(config, name, now_unix_ms());
  was_held = !hold.ok() || hold->has_value();
  if (hold.ok() && *hold && !ends((*hold)->kind)) {
    was_held = false;
    return true;
  }
  const absl::Status released = release_hold(config, name, beneath);
  if (!released.ok()) {
    report.bad(name, fmt::format("the hold is not released: {}", message(released)));
    return false;
  }
  if (!hold.ok()) report.warn(fmt::format("removed a hold that could not be read: {}", message(hold.status())));
  if (!was_held) return true;
  report.log_release(name, hold.ok() ? **hold : Hold{}, order.who);
  if (hold.ok()) {
    report.note(name,
                fmt::format("ends the hold of {}: {}", printable((*hold)->who), hold_text(**hold, now_unix_ms())));
  }
  return true;
}

Level level_left(const PopConfig& config, const std::string& name, Report& report) {
  const auto hold = load_hold(config, name, now_unix_ms());
  if (!hold.ok() || !*hold || (*hold)->kind == HoldKind::kAnnounce) return Level::kAnnounced;
  report.note(name, fmt::format("an older hold is in force again: {}; `bgpctl undrain` or `bgpctl announce` ends it",
                                hold_text(**hold, now_unix_ms())));
  return highest_level((*hold)->kind);
}

std::string after_release(const absl::Status& monitor) {
  if (monitor.ok()) return "released; health decides again";
  if (absl::IsUnavailable(monitor)) {
    return "released; the monitor is not running, so nothing changes until it runs or `bgpctl announce` is given";
  }
  return fmt::format("released; whether anything changes is not known, because the monitor does not answer: {}",
                     message(monitor));
}

std::string hold_down_text(std::int64_t remaining_ms) {
  if (remaining_ms <= 0) return {};
  return fmt::format(" (hold-down for another {})", duration_text((remaining_ms + 999) / 1000 * 1000));
}

void announce_without_monitor(const PopConfig& config, Bird& bird, const AnnouncementConfig& announcement, Level level,
                              Clock::time_point end, Report& report) {
  if (!set(config, bird, announcement, level, end, report)) return;
  report_at(level, announcement, read_back(bird, announcement, level, end), report);
  report.warn(
      fmt::format("the monitor is not running: nothing checks '{}' and nothing will withdraw it", announcement.name));
}

void wait_for_monitor(const PopConfig& config, Bird& bird, const AnnouncementConfig& announcement, Level level,
                      Clock::time_point end, Report& report) {
  const std::string& name = announcement.name;
  absl::StatusOr<MonitorState> state = ask_monitor(config);
  auto wants = [&] {
    return state.ok() && state->announcements.contains(name) && state->announcements.at(name).level == level;
  };
  while (!wants() && Clock::now() < end) {
    std::this_thread::sleep_for(kMonitorInterval);
    state = ask_monitor(config);
  }
  if (wants()) return report_at(level, announcement, read_back(bird, announcement, level, end), report);
  if (!state.ok())
    return report.bad(name, fmt::format("the monitor runs, but does not answer: {}; --force announces without it",
                                        message(state.status())));
  if (!state->announcements.contains(name))
    return report.bad(name, "the monitor does not know it; restart it with this pop.yaml");
  const MonitorWish& wish = state->announcements.at(name);
  report.bad(name,
             fmt::format("the monitor does not announce it: {}{}", printable(wish.cause),
                         hold_down_text(wish.hold_down_remaining_ms)),
             {{"cause", wish.cause}, {"hold_down_remaining_ms", wish.hold_down_remaining_ms}});
}

}  // namespace anypop::bgpctl
