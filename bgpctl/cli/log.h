// SPDX-License-Identifier: Apache-2.0
// `bgpctl log`: the event log, for people and for machines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/config.h"

namespace anypop::bgpctl {

struct LogWish {
  std::vector<AnnouncementConfig> announcements;  // none: every event
  std::optional<std::int64_t> since_unix_ns;
  std::optional<std::size_t> lines;  // the last ones of what is there; nullopt: all
  bool follow = false;               // go on until interrupted, or until nobody reads
  bool json = false;                 // the lines as they are in the file
};

// Prints, and returns the exit code.
int show_log(const PopConfig& config, const LogWish& wish);

}  // namespace anypop::bgpctl
