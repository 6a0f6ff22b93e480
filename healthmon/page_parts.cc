// SPDX-License-Identifier: Apache-2.0
#include "page_parts.h"

#include <algorithm>

#include "base/text.h"
#include "healthmon/traffic_history.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

const json::value* member(const json::object& object, std::string_view key) {
  return object.if_contains({key.data(), key.size()});
}

}  // namespace

std::string html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += static_cast<unsigned char>(c) < ' ' || c == 0x7f ? ' ' : c;
    }
  }
  return out;
}

std::string_view text_at(const json::object& object, std::string_view key) {
  const json::value* value = member(object, key);
  if (value == nullptr || !value->is_string()) return "";
  return {value->get_string().data(), value->get_string().size()};
}
std::int64_t number_at(const json::object& object, std::string_view key) {
  const json::value* value = member(object, key);
  json::error_code error;
  return value == nullptr || !value->is_number() ? 0 : value->to_number<std::int64_t>(error);
}
bool flag_at(const json::object& object, std::string_view key) {
  const json::value* value = member(object, key);
  return value != nullptr && value->is_bool() && value->get_bool();
}
const json::array& list_at(const json::object& object, std::string_view key) {
  static const json::array kNone;
  const json::value* value = member(object, key);
  return value == nullptr || !value->is_array() ? kNone : value->get_array();
}
const json::object& as_object(const json::value& value) {
  static const json::object kNone;
  return value.is_object() ? value.get_object() : kNone;
}
const json::object& object_at(const json::object& object, std::string_view key) {
  static const json::value kNothing;
  const json::value* value = member(object, key);
  return as_object(value == nullptr ? kNothing : *value);
}

std::string joined(const json::array& values) {
  std::string out;
  for (const json::value& value : values) {
    if (!value.is_string()) continue;
    out += fmt::format("{}{}", out.empty() ? "" : ", ", std::string(value.get_string()));
  }
  return out;
}

std::string tag(std::string_view colour, std::string_view word) {
  return fmt::format("<span class=\"tag {}\">{}</span>", colour, html(word));
}

std::tm utc(std::int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm broken{};
  ::gmtime_r(&seconds, &broken);
  return broken;
}
std::string day_text(const std::tm& time) {
  return fmt::format("{:04}-{:02}-{:02}", time.tm_year + 1900, time.tm_mon + 1, time.tm_mday);
}
std::string clock_text(const std::tm& time) {
  return fmt::format("{:02}:{:02}:{:02}", time.tm_hour, time.tm_min, time.tm_sec);
}
std::string minute_text(std::int64_t unix_ms) {
  const std::tm time = utc(unix_ms);
  return fmt::format("{} {:02}:{:02} UTC", day_text(time), time.tm_hour, time.tm_min);
}

std::string duration_text(std::int64_t ms) {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  if (ms < 9950) return fmt::format("{:.1f} s", static_cast<double>(std::max<std::int64_t>(ms, 0)) / 1000);
  const std::int64_t seconds = (ms + 999) / 1000;
  if (seconds < 2 * kMinute) return fmt::format("{} s", seconds);
  if (seconds < 2 * kHour) return fmt::format("{} min", seconds / kMinute);
  if (seconds < 2 * kDay) return fmt::format("{} h {} min", seconds / kHour, seconds % kHour / kMinute);
  return fmt::format("{} d {} h", seconds / kDay, seconds % kDay / kHour);
}

std::string rate_text(double per_s) {
  if (per_s >= 1e6) return fmt::format("{:.2f} M/s", per_s / 1e6);
  if (per_s >= 1e4) return fmt::format("{:.1f} k/s", per_s / 1e3);
  return fmt::format("{:.0f}/s", per_s);
}

std::string count_text(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string graph(const std::deque<double>& values) {
  if (values.size() < 2) return "";
  const double top = std::max(1.0, *std::max_element(values.begin(), values.end()));
  const std::size_t first = TrafficHistory::kPoints - values.size();
  // The ends lie below what is seen, so that the filled area stands on the ground.
  std::string points = fmt::format("{},32", first);
  for (std::size_t i = 0; i < values.size(); ++i) {
    points += fmt::format(" {},{:.0f}", first + i, 30 - 28 * values[i] / top);
  }
  return fmt::format(
      "<svg viewBox=\"0 0 59 30\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><polyline points=\"{} 59,32\"/>"
      "</svg>",
      points);
}

}  // namespace anypop::healthmon
