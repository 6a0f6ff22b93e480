// SPDX-License-Identifier: Apache-2.0
#include "log_text.h"

#include <algorithm>
#include <array>
#include <ctime>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/duration.h"
#include "base/text.h"
#include "bgpctl/event_fields.h"
#include "bgpctl/event_words.h"
#include "bgpctl/printable.h"

namespace anypop::bgpctl {
namespace {

namespace json = boost::json;

std::string subject(const json::object& event) {
  if (const std::string name = text_at(event, "announcement"); !name.empty()) return printable(name);
  const std::string service = text_at(event, "service");
  const std::string backend = text_at(event, "backend");
  return printable(backend.empty() ? service : service + "/" + backend);
}

std::string hold_words(const json::object& event) {
  std::string text = fmt::format("{} by {}", printable(text_at(event, "kind")), printable(text_at(event, "who")));
  const std::int64_t length_ms = number_at(event, "expires_unix_ms") - number_at(event, "placed_unix_ms");
  if (number_at(event, "expires_unix_ms") > 0 && length_ms > 0) text += " for " + duration_text(length_ms);
  return text + because(event);
}

std::string command_words(const json::object& event) {
  std::string text = printable(text_at(event, "level"));
  const std::int64_t sent = number_at(event, "sent_unix_ns");
  const std::int64_t replied = number_at(event, "replied_unix_ns");
  if (flag_at(event, "ok").value_or(true)) {
    text += sent > 0 && replied > sent ? fmt::format(", BIRD took {:.1f} ms", static_cast<double>(replied - sent) / 1e6)
                                       : ", nothing to send";
  } else {
    text += ", failed";
  }
  if (const std::string error = text_at(event, "error"); !error.empty()) return text + ": " + printable(error);
  return text + because(event);
}

std::string drain_words(const json::object& event) {
  const json::value* waited = event.if_contains("waited_s");
  return fmt::format("ended by {} after {:.1f} s", printable(text_at(event, "ended")),
                     waited != nullptr && waited->is_number() ? waited->to_number<double>() : 0.0);
}

std::string drift_words(const json::object& event) {
  return fmt::format("should be {}, found {}", printable(text_at(event, "intended")),
                     printable(text_at(event, "found")));
}

std::string plain_words(const json::object& event, const std::string& kind) {
  const auto is = [&](const char* key) { return flag_at(event, key).value_or(false); };
  if (kind == "reload") {
    return (is("ok") ? "another pop.yaml is in force" : "pop.yaml is refused, nothing changed") + because(event);
  }
  if (kind == "forgive") return "its flaps are forgiven: no hold-down, no latch";
  if (kind == "latch") return is("latched") ? "has flapped too often and stays out" : "latched no more";
  if (kind == "last-announcer") {
    return (is("kept") ? "kept in spite of a fault, nobody else announces it" : "kept no more") + because(event);
  }
  if (kind == "panic") {
    return (is("panic") ? "too few backends are healthy, all are used" : "enough backends are healthy again") +
           because(event);
  }
  if (kind == "second-opinion") return "every backend fell silent at once" + because(event);
  if (kind == "drain-backend" || kind == "undrain-backend") {
    return fmt::format("{} by {}{}", kind == "drain-backend" ? "gets no new flows" : "gets new flows again",
                       printable(text_at(event, "who")), because(event));
  }
  return {};
}

// An event of a kind that this program does not know: its keys as they are.
std::string other_words(const json::object& event) {
  std::string text;
  for (const auto& [key, value] : event) {
    const std::string_view name(key.data(), key.size());
    constexpr std::array<std::string_view, 7> kSaid{"time",         "unix_ns", "by",     "event",
                                                    "announcement", "service", "backend"};
    if (std::find(kSaid.begin(), kSaid.end(), name) != kSaid.end()) continue;
    const std::string shown = value.is_string() ? std::string(value.get_string()) : std::string(json::serialize(value));
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", printable(name), printable(shown));
  }
  return text;
}

std::string words(const json::object& event, const std::string& kind) {
  const auto level = [&](const char* key, const char* yes, const char* no) {
    const std::optional<bool> is = flag_at(event, key);
    return is ? (*is ? yes : no) + because(event) : other_words(event);
  };
  if (kind == "verdict") {
    const std::string name = text_at(event, "level");
    return name.empty() ? level("announce", "announced", "withdrawn") : printable(name) + because(event);
  }
  if (kind == "backend") return level("healthy", "healthy", "unhealthy");
  if (kind == "dataplane") return level("alive", "alive", "dead");
  if (kind == "hold") return hold_words(event);
  if (kind == "hold-file") {
    return level("readable", "can be read again", "cannot be read, the order in force stays");
  }
  if (kind == "release") {
    const std::string placed_by = text_at(event, "placed_by");
    return hold_words(event) + (placed_by.empty() ? "" : fmt::format(" (placed by {})", printable(placed_by)));
  }
  if (kind == "command") return command_words(event);
  if (kind == "drain") return drain_words(event);
  if (kind == "drift") return drift_words(event);
  if (std::optional<std::string> about_the_pop = event_words(event)) return *std::move(about_the_pop);
  const std::string plain = plain_words(event, kind);
  return plain.empty() ? other_words(event) : plain;
}

}  // namespace

std::optional<json::object> parse_event(std::string_view line) {
  json::error_code error;
  json::value value = json::parse({line.data(), line.size()}, error);
  if (error || !value.is_object()) return std::nullopt;
  json::object& event = value.get_object();
  if (text_at(event, "event").empty() || event_unix_ns(event) <= 0) return std::nullopt;
  return std::move(event);
}

std::int64_t event_unix_ns(const json::object& event) { return number_at(event, "unix_ns"); }

bool EventFilter::wants(const json::object& event) const {
  if (announcements_.empty()) return true;
  const std::string name = text_at(event, "announcement");
  const std::string service = text_at(event, "service");
  if (name.empty() && service.empty()) return true;
  return std::any_of(announcements_.begin(), announcements_.end(), [&](const AnnouncementConfig& announcement) {
    if (!name.empty()) return announcement.name == name;
    return std::find(announcement.services.begin(), announcement.services.end(), service) !=
           announcement.services.end();
  });
}

std::string event_line(const json::object& event, const std::function<std::string(std::int64_t)>& time) {
  const std::string kind = text_at(event, "event");
  const std::string about = subject(event);
  const std::string what = words(event, kind);
  return fmt::format("{}  {:<9}  {:<9}  {}{}{}", time(event_unix_ns(event)), printable(text_at(event, "by")),
                     printable(kind), about, about.empty() || what.empty() ? "" : ": ", what);
}

std::string local_time(std::int64_t unix_ns) {
  const std::time_t seconds = unix_ns / 1'000'000'000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}", local.tm_year + 1900, local.tm_mon + 1, local.tm_mday,
                     local.tm_hour, local.tm_min, local.tm_sec, unix_ns % 1'000'000'000 / 1'000'000);
}

}  // namespace anypop::bgpctl
