// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/event_fields.h"

#include "bgpctl/printable.h"

namespace anypop::bgpctl {

namespace json = boost::json;

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(json::string_view(key.data(), key.size()));
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::int64_t number_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(json::string_view(key.data(), key.size()));
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

std::optional<bool> flag_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(json::string_view(key.data(), key.size()));
  return value != nullptr && value->is_bool() ? std::optional(value->get_bool()) : std::nullopt;
}

std::string because(const json::object& event) {
  for (const char* key : {"cause", "reason", "error", "found"}) {
    if (const std::string text = text_at(event, key); !text.empty()) return ": " + printable(text);
  }
  return {};
}

}  // namespace anypop::bgpctl
