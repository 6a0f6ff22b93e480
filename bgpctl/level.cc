// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/level.h"

namespace anypop::bgpctl {

std::string_view level_name(Level level) {
  switch (level) {
    case Level::kWithdrawn: return "withdrawn";
    case Level::kDrained: return "drained";
    case Level::kAnnounced: break;
  }
  return "announced";
}

std::optional<Level> parse_level(std::string_view name) {
  for (const Level level : {Level::kWithdrawn, Level::kDrained, Level::kAnnounced}) {
    if (name == level_name(level)) return level;
  }
  return std::nullopt;
}

}  // namespace anypop::bgpctl
