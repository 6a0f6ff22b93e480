// SPDX-License-Identifier: Apache-2.0
// What the health monitor wants, asked over its socket. Read leniently: a newer monitor may say more, an older one
// less.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "base/config.h"
#include "bgpctl/level.h"

namespace anypop::bgpctl {

struct MonitorWish {
  Level level = Level::kWithdrawn;
  std::string cause;
  std::int64_t hold_down_remaining_ms = 0;
  std::optional<Level> deserved;  // what health alone would allow now, whatever is ordered; nullopt: it does not say
  std::string deserved_cause;
};
struct MonitorState {
  std::map<std::string, MonitorWish> announcements;
  std::vector<std::string> warnings;  // about the monitor itself, and what it finds that is not in pop.yaml
};

absl::StatusOr<MonitorState> parse_monitor_state(std::string_view body);

// Unavailable: the monitor does not run. Other errors: it may run, but does not tell.
absl::StatusOr<MonitorState> ask_monitor(const PopConfig& config);

}  // namespace anypop::bgpctl
