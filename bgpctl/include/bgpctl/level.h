// SPDX-License-Identifier: Apache-2.0
// How far an announcement is in. Higher attracts more traffic, so "at most" and "at least" are comparisons.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace anypop::bgpctl {

enum class Level : std::uint8_t {
  kWithdrawn,  // the routers do not have it
  kDrained,    // they have it, with prepends and GRACEFUL_SHUTDOWN (RFC 8326), and should prefer any other PoP
  kAnnounced,
};
std::string_view level_name(Level level);  // "withdrawn", "drained", "announced"
std::optional<Level> parse_level(std::string_view name);

}  // namespace anypop::bgpctl
