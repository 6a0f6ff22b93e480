// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/announcement_text.h"

#include <algorithm>
#include <cstdint>
#include <ctime>

#include <fmt/format.h>

#include "anypop_cli/json_read.h"
#include "base/text.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

// What other programs said may hold anything: no control character reaches the terminal.
std::string shown(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, '?');
  return text;
}

std::string until_text(std::int64_t expires_unix_ms) {
  if (expires_unix_ms <= 0) return "until it is released";
  const std::time_t seconds = expires_unix_ms / 1000;
  std::tm at{};
  ::gmtime_r(&seconds, &at);
  return fmt::format("until {:04}-{:02}-{:02} {:02}:{:02} UTC", at.tm_year + 1900, at.tm_mon + 1, at.tm_mday,
                     at.tm_hour, at.tm_min);
}

}  // namespace

AnnouncementText announcement_text(const json::value& announcement) {
  AnnouncementText out{.name = shown(text_of(&announcement, "name")),
                       .level = shown(text_of(&announcement, "level")),
                       .cause = shown(text_of(&announcement, "cause"))};
  if (out.level.empty()) out.level = flag_of(&announcement, "announce") ? "announced" : "withdrawn";
  out.paint = out.level == "announced" ? Paint::kGood : out.level == "withdrawn" ? Paint::kBad : Paint::kWarn;
  out.exported_to = names(list_of(&announcement, "exported_to"));
  if (out.exported_to.empty()) out.exported_to = "nobody";
  const json::value* hold = member(&announcement, "hold");
  if (hold != nullptr && hold->is_object()) {
    out.notes.push_back(fmt::format("{} hold by {}: {}, {}", shown(text_of(hold, "kind")), shown(text_of(hold, "who")),
                                    shown(text_of(hold, "reason")), until_text(number_of(hold, "expires_unix_ms"))));
  }
  if (const std::int64_t left_ms = number_of(&announcement, "hold_down_remaining_ms"); left_ms > 0) {
    out.notes.push_back(fmt::format("may return in {:.1f} s", static_cast<double>(left_ms) / 1000));
  }
  if (flag_of(&announcement, "latched")) out.notes.emplace_back("latched: stays out until somebody announces it");
  if (flag_of(&announcement, "kept_last")) out.notes.emplace_back("kept in spite of a fault: nobody else announces it");
  for (const char* key : {"hold_error", "problem"}) {
    if (const std::string text = text_of(&announcement, key); !text.empty()) out.notes.push_back(shown(text));
  }
  return out;
}

}  // namespace anypop::cli
