// SPDX-License-Identifier: Apache-2.0
// Lengths of time as operators type and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace anypop {

// "90s", "30m", "2h", "1d" in milliseconds; at least one second, at most a year.
absl::StatusOr<std::int64_t> parse_duration_ms(std::string_view text);

// A moment that has been: "2h" (ago, as parse_duration_ms() reads it) or "2026-11-20T17:00:00Z" (UTC), in nanoseconds
// since 1970. `now_unix_ns` is the present.
absl::StatusOr<std::int64_t> parse_moment_ns(std::string_view text, std::int64_t now_unix_ns);

// "42 s", "2 min 5 s", "3 h 10 min", "2 d 1 h": the two largest units.
std::string duration_text(std::int64_t milliseconds);

}  // namespace anypop
