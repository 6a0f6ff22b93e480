// SPDX-License-Identifier: Apache-2.0
#include "monitor_state.h"

#include <chrono>

#include <boost/json/parse.hpp>

#include "base/text.h"
#include "bgpctl/event_fields.h"
#include "dataplane_api/http_client.h"

namespace anypop::bgpctl {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kMonitorTimeout{1000};

std::vector<std::string> warnings_of(const json::object& state) {
  std::vector<std::string> warnings;
  const json::value* reload = state.if_contains("last_reload");
  if (const json::object* last = reload == nullptr ? nullptr : reload->if_object()) {
    const json::value* ok = last->if_contains("ok");
    if (ok != nullptr && ok->is_bool() && !ok->as_bool()) {
      warnings.push_back(
          fmt::format("runs with an older pop.yaml, the last one was refused: {}", text_at(*last, "error")));
    }
  }
  const json::value* strangers = state.if_contains("strangers");
  if (const json::array* list = strangers == nullptr ? nullptr : strangers->if_array()) {
    for (const json::value& item : *list) {
      if (const json::object* one = item.if_object()) warnings.push_back(text_at(*one, "cause"));
    }
  }
  return warnings;
}

}  // namespace

absl::StatusOr<MonitorState> parse_monitor_state(std::string_view body) {
  json::error_code error;
  const json::value value = json::parse({body.data(), body.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* list = object == nullptr ? nullptr : object->if_contains("announcements");
  if (list == nullptr || !list->is_array()) {
    return invalid_argument("the monitor's answer has no list of announcements");
  }
  MonitorState state;
  for (const json::value& item : list->as_array()) {
    const json::object* entry = item.if_object();
    const json::value* name = entry == nullptr ? nullptr : entry->if_contains("name");
    const json::value* announce = entry == nullptr ? nullptr : entry->if_contains("announce");
    if (name == nullptr || !name->is_string() || announce == nullptr || !announce->is_bool()) continue;
    MonitorWish& wish = state.announcements[std::string(name->as_string())];
    wish.level = announce->as_bool() ? Level::kAnnounced : Level::kWithdrawn;
    if (const json::value* level = entry->if_contains("level"); level != nullptr && level->is_string()) {
      wish.level = parse_level(std::string_view(level->as_string())).value_or(wish.level);
    }
    if (const json::value* cause = entry->if_contains("cause"); cause != nullptr && cause->is_string()) {
      wish.cause = std::string(cause->as_string());
    }
    if (const json::value* level = entry->if_contains("deserved"); level != nullptr && level->is_string()) {
      wish.deserved = parse_level(std::string_view(level->as_string()));
    }
    if (const json::value* cause = entry->if_contains("deserved_cause"); cause != nullptr && cause->is_string()) {
      wish.deserved_cause = std::string(cause->as_string());
    }
    if (const json::value* left = entry->if_contains("hold_down_remaining_ms"); left != nullptr && left->is_number()) {
      wish.hold_down_remaining_ms = left->is_int64() ? left->as_int64() : 0;
    }
  }
  state.warnings = warnings_of(*object);
  return state;
}

absl::StatusOr<MonitorState> ask_monitor(const PopConfig& config) {
  const auto answer = http_call(config.monitor_socket(), {"GET", "/v1/state", ""}, kMonitorTimeout);
  if (!answer.ok()) return answer.status();
  if (answer->status != 200) {
    return internal_error("{}: found status {}, expected 200", config.monitor_socket().string(), answer->status);
  }
  return parse_monitor_state(answer->body);
}

}  // namespace anypop::bgpctl
