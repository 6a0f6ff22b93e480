// SPDX-License-Identifier: Apache-2.0
#include "event_text.h"

#include <algorithm>
#include <string_view>

#include <boost/json/serialize.hpp>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

bool is_plain(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
}

bool is(const boost::json::object& event, const char* key, bool wanted) {
  const boost::json::value* value = event.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool() == wanted;
}

}  // namespace

bool is_bad_news(const boost::json::object& event) {
  const boost::json::value* name = event.if_contains("event");
  if (name == nullptr || !name->is_string()) return false;
  if (name->get_string() == "forgive") return false;
  for (const char* bad : {"drift", "second-opinion", "bird-restart"}) {
    if (name->get_string() == bad) return true;
  }
  for (const char* key : {"reachable", "established", "readable", "up"}) {
    if (is(event, key, false)) return true;
  }
  return is(event, "announce", false) || is(event, "healthy", false) || is(event, "alive", false) ||
         is(event, "ok", false) || is(event, "panic", true) || is(event, "latched", true) || is(event, "kept", true);
}

std::string event_text(const boost::json::object& event) {
  std::string line;
  for (const auto& [key, value] : event) {
    if (!line.empty()) line += ' ';
    line.append(key.data(), key.size());
    line += '=';
    const std::string text = value.is_string() ? std::string(value.get_string()) : boost::json::serialize(value);
    line += is_plain(text) ? text : fmt::format("\"{}\"", escaped(text));
  }
  return line;
}

}  // namespace anypop::healthmon
