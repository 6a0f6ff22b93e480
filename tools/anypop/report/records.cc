// SPDX-License-Identifier: Apache-2.0
#include "anypop_report/records.h"

#include <array>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "base/text.h"

namespace anypop::report {
namespace {

namespace json = boost::json;

struct KindName {
  std::string_view name;
  EventKind kind;
  const char* level;  // the key that holds it
};
constexpr std::array kKinds{
    KindName{"backend", EventKind::kBackend, "healthy"},
    KindName{"dataplane", EventKind::kDataplane, "alive"},
    KindName{"verdict", EventKind::kVerdict, "announce"},
    KindName{"command", EventKind::kCommand, "announce"},
    KindName{"hold", EventKind::kHold, ""},
    KindName{"release", EventKind::kRelease, ""},
    KindName{"drift", EventKind::kDrift, ""},
};

std::string text_of(const json::object& object, const char* key) {
  const json::value* found = object.if_contains(key);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

// The year 2096: what is later is no time, and sums of such numbers must not overflow.
constexpr std::int64_t kMomentMaxNs = 4'000'000'000'000'000'000;

// 0: there is none.
std::int64_t moment_of(const json::object& object, const char* key) {
  const json::value* found = object.if_contains(key);
  if (found == nullptr || !found->is_int64()) return 0;
  const std::int64_t moment = found->get_int64();
  return moment > 0 && moment < kMomentMaxNs ? moment : 0;
}

std::optional<bool> flag_of(const json::object& object, const char* key) {
  const json::value* found = object.if_contains(key);
  return found != nullptr && found->is_bool() ? std::optional(found->get_bool()) : std::nullopt;
}

std::string object_of(const json::object& line) {
  const std::string backend = text_of(line, "backend");
  return backend.empty() ? text_of(line, "announcement") : text_of(line, "service") + "/" + backend;
}

std::string cause_of(const json::object& line) {
  for (const char* key : {"cause", "reason", "error", "found"}) {
    if (std::string text = text_of(line, key); !text.empty()) return text;
  }
  return {};
}

std::optional<Event> event_of(const json::object& line, std::string_view pop) {
  Event event;
  event.unix_ns = moment_of(line, "unix_ns");
  event.name = text_of(line, "event");
  if (event.unix_ns == 0 || event.name.empty()) return std::nullopt;
  event.pop = std::string(pop);
  for (const KindName& kind : kKinds) {
    if (kind.name != event.name) continue;
    event.kind = kind.kind;
    event.level = flag_of(line, kind.level);
  }
  // A hold is a level too: out of the table or kept in it.
  if (event.kind == EventKind::kHold) event.level = text_of(line, "kind") == "announce";
  event.object = object_of(line);
  event.sent_unix_ns = moment_of(line, "sent_unix_ns");
  event.replied_unix_ns = moment_of(line, "replied_unix_ns");
  event.ok = flag_of(line, "ok").value_or(true);
  event.by = text_of(line, "by");
  event.cause = cause_of(line);
  return event;
}

std::optional<Request> request_of(const json::object& line) {
  Request request{.start_unix_ns = moment_of(line, "start_unix_ns"),
                  .end_unix_ns = moment_of(line, "end_unix_ns"),
                  .target = text_of(line, "target"),
                  .pop = text_of(line, "pop"),
                  .error = text_of(line, "error"),
                  .moved = flag_of(line, "moved").value_or(false)};
  if (request.start_unix_ns == 0 || request.end_unix_ns < request.start_unix_ns) return std::nullopt;
  return request;
}

template <typename Take>
Skipped read_lines(std::string_view text, Take take) {
  Skipped skipped;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    json::error_code error;
    const json::value value = json::parse({line.data(), line.size()}, error);
    if (error || !value.is_object() || !take(value.get_object())) ++skipped.lines;
  }
  return skipped;
}

}  // namespace

Skipped read_events(std::string_view text, std::string_view pop, std::vector<Event>& events) {
  return read_lines(text, [&](const json::object& line) {
    auto event = event_of(line, pop);
    if (event) events.push_back(*std::move(event));
    return event.has_value();
  });
}

Skipped read_requests(std::string_view text, std::vector<Request>& requests) {
  return read_lines(text, [&](const json::object& line) {
    auto request = request_of(line);
    if (request) requests.push_back(*std::move(request));
    return request.has_value();
  });
}

}  // namespace anypop::report
