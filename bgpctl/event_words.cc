// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/event_words.h"

#include <cstdint>
#include <string_view>

#include "base/text.h"
#include "bgpctl/printable.h"

namespace anypop::bgpctl {
namespace {

namespace json = boost::json;

std::string text_at(const json::object& event, const char* key) {
  const json::value* value = event.if_contains(key);
  return value != nullptr && value->is_string() ? printable(std::string(value->get_string())) : std::string();
}

bool is(const json::object& event, const char* key) {
  const json::value* value = event.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::string because(const json::object& event) {
  const std::string cause = text_at(event, "cause");
  return cause.empty() ? cause : ": " + cause;
}

std::string configure_words(const json::object& event) {
  const json::value* value = event.if_contains("count");
  const std::int64_t count = value != nullptr && value->is_int64() ? value->get_int64() : 0;
  return fmt::format("somebody had BIRD read its configuration again{}, last at {}",
                     count > 1 ? fmt::format(", at least {} times", count) : "",
                     text_at(event, "last_reconfiguration"));
}

}  // namespace

std::optional<std::string> event_words(const json::object& event) {
  const std::string kind = text_at(event, "event");
  if (kind == "start") return fmt::format("the monitor started, version {}", text_at(event, "version"));
  if (kind == "stop") return "the monitor ended";
  if (kind == "first-round") return "everything has been asked once, from now on health decides";
  if (kind == "bird") {
    return is(event, "reachable") ? fmt::format("BIRD {} answers", text_at(event, "version"))
                                  : "BIRD does not answer" + because(event);
  }
  if (kind == "bird-restart") return "BIRD was restarted, at " + text_at(event, "last_reboot");
  if (kind == "bird-configure") return configure_words(event);
  if (kind == "bird-config") {
    return is(event, "good") ? "BIRD would take its configuration again"
                             : "BIRD would not take its configuration" + because(event);
  }
  if (kind == "session") {
    const bool up = is(event, "established");
    return fmt::format("BGP session {} is {}{}", text_at(event, "session"), up ? "established" : "down",
                       up ? "" : because(event));
  }
  if (kind == "link") {
    return fmt::format("port {} {}", text_at(event, "port"), is(event, "up") ? "has a link again" : "has no link");
  }
  if (kind == "dataplane-restart") return "the dataplane is being restarted, and has said so";
  return std::nullopt;
}

}  // namespace anypop::bgpctl
