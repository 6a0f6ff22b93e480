// SPDX-License-Identifier: Apache-2.0
// The steps that bgpctl's orders are made of. Each reports what went wrong; what it returns says whether to go on.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "actions.h"
#include "bgpctl/announcer.h"
#include "bird.h"
#include "report.h"

namespace anypop::bgpctl {

using Clock = std::chrono::steady_clock;

std::int64_t now_unix_ms();
Hold hold_of(const Order& order, HoldKind kind);
std::filesystem::path hold_file(const PopConfig& config, const AnnouncementConfig& announcement);

enum class Places { kInstead, kAbove };  // of the hold that is there: replaces it, or lets it wait beneath
// Places the hold, and says whose it replaces. False, and reported, if it could not be placed.
bool place(const PopConfig& config, const Hold& hold, const std::string& name, Report& report,
           Places places = Places::kInstead);
// Removes the hold if `ends` says so of its kind, also one that cannot be read, and says whose it was. False, and
// reported, on failure.
bool end_hold(const PopConfig& config, const Order& order, const std::function<bool(HoldKind)>& ends, Beneath beneath,
              const std::string& name, Report& report, bool& was_held);
// The level that a hold still allows, such as one that has waited beneath another; that is said, too.
Level level_left(const PopConfig& config, const std::string& name, Report& report);
// Of a hold that has been released: what comes now, with the monitor in this state.
std::string after_release(const absl::Status& monitor);
// What the monitor's hold-down leaves to wait, in brackets; empty: nothing.
std::string hold_down_text(std::int64_t remaining_ms);

// Sets the level and reports errors; an order that another process delays is given again until the deadline.
bool set(const PopConfig& config, Bird& bird, const AnnouncementConfig& announcement, Level level,
         Clock::time_point end, Report& report);

// BIRD is at this level, and every established session is told so.
bool reached(const AnnouncementStanding& at, Level level);

struct ReadBack {
  absl::Status status = absl::DeadlineExceededError("not asked");
  AnnouncementStanding standing;
};
// Looks until BIRD is at the level or the time is over.
ReadBack read_back(Bird& bird, const AnnouncementConfig& announcement, Level level, Clock::time_point end);
void report_at(Level level, const AnnouncementConfig& announcement, const ReadBack& back, Report& report);
void report_withdrawn(const AnnouncementConfig& announcement, const ReadBack& back, Report& report);
void report_drained(const AnnouncementConfig& announcement, const ReadBack& back, Report& report);
void report_announced(const AnnouncementConfig& announcement, const ReadBack& back, Report& report);

// Back to announced, or to drained if a hold leaves no more.
void announce_without_monitor(const PopConfig& config, Bird& bird, const AnnouncementConfig& announcement, Level level,
                              Clock::time_point end, Report& report);
void wait_for_monitor(const PopConfig& config, Bird& bird, const AnnouncementConfig& announcement, Level level,
                      Clock::time_point end, Report& report);

}  // namespace anypop::bgpctl
