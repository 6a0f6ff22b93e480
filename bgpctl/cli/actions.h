// SPDX-License-Identifier: Apache-2.0
// What bgpctl does to announcements. Every order works with the monitor dead, and as far as it can with BIRD dead.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "bgpctl/holds.h"

namespace anypop::bgpctl {

class Report;

struct Order {
  std::vector<AnnouncementConfig> announcements;
  std::string who;
  std::string reason;
  std::optional<std::int64_t> for_ms;  // length of the hold; nullopt: until released
  std::chrono::milliseconds timeout{0};
  bool dry_run = false;
  bool json = false;
  std::string config_trouble;         // said already; for the JSON object
  bool wait = false;                  // drain: until quiet, then withdraw; undrain: until it is announced again
  std::optional<unsigned> quiet_pps;  // drain: instead of the announcement's own
  std::optional<std::int64_t> quiet_for_ms;
};

// Each carries the order out, prints what happened, and returns the exit code: 0, or 1 if anything is not as ordered.

// Hold, state file and `disable`; then waits until BIRD exports it to nobody.
int withdraw(const PopConfig& config, const Order& order);
// The same, to a report that has begun already, and above the holds that are there: they wait beneath.
int withdraw_above(const PopConfig& config, const Order& order, Report& report);
// The same for what the configuration says of each (if_monitor_lost), unless the monitor answers, an operator holds it
// in or out, or it is the last announcer.
int withdraw_monitor_lost(const PopConfig& config, const Order& order);
// Hold, state file and `enable`, whatever health says.
int force_announce(const PopConfig& config, const Order& order);
// Ends a withdraw hold and lets the monitor announce; announces by itself when there is no monitor.
int announce(const PopConfig& config, const Order& order);
// Drain hold, state file, and the de-preferred route in place of the plain one. With `wait`: until the traffic has left
// or the time is over, and then withdraws; forwarding goes on. What health has withdrawn stays out.
int drain(const PopConfig& config, const Order& order);
// Ends a drain or withdraw hold. With `wait`: de-preferred first, once the monitor finds it healthy, then announced; if
// that takes too long the hold stays as it was.
int undrain(const PopConfig& config, const Order& order);
// Ends any hold. Health decides again.
int release(const PopConfig& config, const Order& order);
int list_holds(const PopConfig& config, bool as_json);

}  // namespace anypop::bgpctl
