// SPDX-License-Identifier: Apache-2.0
// Everything `bgpctl status` knows, gathered first and judged afterwards, so that the judging is pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "base/config.h"
#include "bgpctl/announcer.h"
#include "bgpctl/bird_view.h"
#include "bgpctl/holds.h"
#include "monitor_state.h"

namespace anypop::bgpctl {

struct AnnouncementFacts {
  AnnouncementConfig announcement;
  absl::StatusOr<std::optional<Hold>> hold = std::nullopt;
  std::optional<MonitorWish> wish;  // nullopt: the monitor does not tell
  absl::StatusOr<Level> state_file = Level::kWithdrawn;
  std::optional<AnnouncementStanding> standing;  // nullopt: BIRD does not tell
};

struct PopFacts {
  std::string config_trouble;  // why the last good copy of pop.yaml stands in for it; empty: it does not
  absl::StatusOr<BirdView> bird = absl::UnknownError("not asked");
  std::vector<std::string> bird_config_errors;  // what each BIRD would not take of its own configuration file
  absl::StatusOr<MonitorState> monitor = absl::UnknownError("not asked");
  std::vector<AnnouncementFacts> announcements;
};

// Asks everybody. Bounded by the timeouts of the sockets.
PopFacts gather_facts(const PopConfig& config, const std::vector<AnnouncementConfig>& announcements);

// What should be: the monitor's wish within what the hold allows; without a monitor the hold's order; else unknown.
std::optional<Level> intended(const AnnouncementFacts& facts);

// Nothing that `status` marks with a `!`.
bool all_is_well(const PopFacts& pop);

// Each contradiction between intended, state file, table and exports, as one sentence with its meaning or remedy.
std::vector<std::string> differences(const AnnouncementFacts& facts);

}  // namespace anypop::bgpctl
