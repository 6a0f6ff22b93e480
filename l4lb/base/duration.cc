// SPDX-License-Identifier: Apache-2.0
#include "base/duration.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "base/text.h"

namespace anypop {
namespace {

struct Unit {
  char letter;
  std::string_view name;
  std::int64_t seconds;
};
constexpr std::array<Unit, 4> kUnits{Unit{'d', "d", 86400}, {'h', "h", 3600}, {'m', "min", 60}, {'s', "s", 1}};
constexpr std::int64_t kMaxSeconds = 366 * 86400;

}  // namespace

absl::StatusOr<std::int64_t> parse_duration_ms(std::string_view text) {
  const auto unit = std::find_if(kUnits.begin(), kUnits.end(),
                                 [&](const Unit& u) { return !text.empty() && text.back() == u.letter; });
  if (unit != kUnits.end() && text.size() > 1) {
    const auto number = parse_number<std::int64_t>(text.substr(0, text.size() - 1), 1, kMaxSeconds);
    if (number && *number <= kMaxSeconds / unit->seconds) return *number * unit->seconds * 1000;
  }
  return invalid_argument("found '{}', expected a duration such as 90s, 30m, 2h or 1d, at most a year", escaped(text));
}

absl::StatusOr<std::int64_t> parse_moment_ns(std::string_view text, std::int64_t now_unix_ns) {
  if (const auto ago_ms = parse_duration_ms(text); ago_ms.ok()) return now_unix_ns - *ago_ms * 1'000'000;
  std::tm when{};
  const std::string copy(text);
  const char* const end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%SZ", &when);
  if (end != copy.c_str() + copy.size()) {
    return invalid_argument("found '{}', expected a length of time such as 2h or a moment such as 2026-11-20T17:00:00Z",
                            escaped(text));
  }
  return timegm(&when) * 1'000'000'000;
}

std::string duration_text(std::int64_t milliseconds) {
  std::int64_t seconds = std::max<std::int64_t>(milliseconds, 0) / 1000;
  std::string text;
  int parts = 0;
  for (const Unit& unit : kUnits) {
    const std::int64_t count = seconds / unit.seconds;
    seconds %= unit.seconds;
    if (count == 0 || parts == 2) continue;
    text += fmt::format("{}{} {}", parts++ == 0 ? "" : " ", count, unit.name);
  }
  return text.empty() ? "0 s" : text;
}

}  // namespace anypop
