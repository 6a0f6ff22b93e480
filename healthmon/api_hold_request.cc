// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include "base/duration.h"
#include "base/text.h"
#include "bgpctl/holds.h"
#include "healthmon/api.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

constexpr std::size_t kNamesMax = 1000;

absl::Status wrong(std::string_view key, std::string_view expected) {
  return invalid_argument("{}: expected {}", key, expected);
}

absl::Status read_names(const json::value& value, HoldRequest& request) {
  const json::array* list = value.if_array();
  if (list == nullptr || list->empty() || list->size() > kNamesMax) {
    return wrong("announcements", "a list of names of announcements");
  }
  for (const json::value& name : *list) {
    if (!name.is_string()) return wrong("announcements", "a list of names of announcements");
    std::string text(name.get_string());
    if (std::find(request.announcements.begin(), request.announcements.end(), text) == request.announcements.end()) {
      request.announcements.push_back(std::move(text));
    }
  }
  return absl::OkStatus();
}

absl::Status read_key(std::string_view key, const json::value& value, HoldRequest& request) {
  const std::string text = value.is_string() ? std::string(value.get_string()) : std::string();
  if (key == "announcements") return read_names(value, request);
  if (key == "kind") {
    if (!bgpctl::parse_hold_kind(text)) {
      return invalid_argument("kind: found '{}', expected withdraw, announce or drain", escaped(text));
    }
    request.kind = text;
    return absl::OkStatus();
  }
  if (key == "reason") {
    const absl::Status status = bgpctl::check_reason(text);
    request.reason = text;
    return status.ok() ? status : invalid_argument("reason: {}", message(status));
  }
  if (key == "for") {
    const absl::StatusOr<std::int64_t> length = parse_duration_ms(text);
    if (!length.ok()) return invalid_argument("for: {}", message(length.status()));
    request.for_ms = *length;
    return absl::OkStatus();
  }
  if (key == "dry_run") {
    if (!value.is_bool()) return wrong("dry_run", "true or false");
    request.dry_run = value.get_bool();
    return absl::OkStatus();
  }
  return invalid_argument("found key '{}', expected announcements, kind, reason, for or dry_run", escaped(key));
}

}  // namespace

absl::StatusOr<HoldRequest> parse_hold_request(std::string_view body) {
  json::error_code error;
  const json::value value = json::parse({body.data(), body.size()}, error);
  if (error || !value.is_object()) {
    return invalid_argument(
        "found no JSON object, expected {{\"announcements\": [\"web\"], \"kind\": \"withdraw\", \"reason\": \"why\"}}");
  }
  HoldRequest request;
  for (const auto& [key, entry] : value.get_object()) {
    if (absl::Status status = read_key({key.data(), key.size()}, entry, request); !status.ok()) return status;
  }
  if (request.announcements.empty()) return wrong("announcements", "a list of names of announcements");
  if (request.kind.empty()) return wrong("kind", "withdraw, announce or drain");
  if (request.reason.empty()) return wrong("reason", "why, for whoever finds the hold");
  return request;
}

}  // namespace anypop::healthmon
