// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <thread>

#include <boost/json/serialize.hpp>

#include "base/text.h"
#include "bgpctl/announcement.h"
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

int dry_run(const PopConfig& config, const Order& order) {
  for (const AnnouncementConfig& announcement : order.announcements) {
    fmt::print("would write {}: {}\n", hold_file(config, announcement).string(),
               json::serialize(hold_json(hold_of(order, HoldKind::kDrain))));
    print_set(config, announcement, Level::kDrained);
    if (!order.wait) continue;
    fmt::print("would wait for at most {} s until at most {} packets/s arrive for {} ms, and then:\n",
               order.timeout.count() / 1000, quiet_pps(order, announcement), quiet_for(order, announcement).count());
    fmt::print("would write {}: {}\n", hold_file(config, announcement).string(),
               json::serialize(hold_json(hold_of(order, HoldKind::kWithdraw))));
    print_set(config, announcement, Level::kWithdrawn);
  }
  return 0;
}

// What is out stays out: draining it would announce it.
bool is_out_already(const PopConfig& config, const AnnouncementConfig& announcement) {
  const absl::StatusOr<Level> file = read_state_file(config, announcement);
  return !file.ok() || *file == Level::kWithdrawn;
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

// Hold, level, read-back. True: there is traffic to wait for.
bool begin(const PopConfig& config, const Order& order, Bird& bird, const AnnouncementConfig& announcement,
           Report& report) {
  const std::string& name = announcement.name;
  const auto hold = load_hold(config, name, now_unix_ms());
  if (hold.ok() && *hold && (*hold)->kind == HoldKind::kWithdraw) {
    report.good(name, "is out already: " + hold_text(**hold, now_unix_ms()));
    return false;
  }
  if (order.wait && !is_out_already(config, announcement) && is_the_last(bird, announcement, "not drained", report)) {
    return false;
  }
  if (!place(config, order, order.wait && is_out_already(config, announcement) ? HoldKind::kWithdraw : HoldKind::kDrain,
             name, report)) {
    return false;
  }
  if (is_out_already(config, announcement)) {
    report.good(name, order.wait ? "is out already, and now held out"
                                 : "is out already; when health brings it back, it is drained");
    return false;
  }
  const auto end = Clock::now() + kReadBackPatience;
  if (!set(config, bird, announcement, Level::kDrained, end, report)) return false;
  const ReadBack back = read_back(bird, announcement, Level::kDrained, end);
  if (!order.wait || !back.status.ok() || !reached(back.standing, Level::kDrained)) {
    report_drained(announcement, back, report);
    return false;
  }
  report.progress(name,
                  fmt::format("drained: {} sessions are told to prefer another PoP; waiting until its traffic has left",
                              back.standing.drained_to.size()));
  return true;
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
  report.log_drain(name, leaving.ended, leaving.waited_s, pps);
  if (is_the_last(bird, leaving.announcement, "drained and held, but not withdrawn", report)) return;
  if (!place(config, order, HoldKind::kWithdraw, name, report)) return;
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
    if (begin(config, order, bird, announcement, report)) {
      leaving.push_back({announcement, QuietWatch(quiet_pps(order, announcement), quiet_for(order, announcement))});
    }
  }
  wait_until_quiet(config, leaving, end);
  for (const Leaving& one : leaving) finish(config, order, bird, one, report);
  return report.finish();
}

}  // namespace anypop::bgpctl
