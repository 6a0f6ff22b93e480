// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/event_words.h"

#include <cstdint>

#include "base/text.h"
#include "bgpctl/event_fields.h"
#include "bgpctl/printable.h"

namespace anypop::bgpctl {
namespace {

namespace json = boost::json;

std::string shown(const json::object& event, const char* key) { return printable(text_at(event, key)); }

bool is(const json::object& event, const char* key) { return flag_at(event, key).value_or(false); }

std::string configure_words(const json::object& event) {
  const std::int64_t count = number_at(event, "count");
  return fmt::format("somebody had BIRD read its configuration again{}, last at {}",
                     count > 1 ? fmt::format(", at least {} times", count) : "", shown(event, "last_reconfiguration"));
}

}  // namespace

std::optional<std::string> event_words(const json::object& event) {
  const std::string kind = text_at(event, "event");
  if (kind == "start") return fmt::format("the monitor started, version {}", shown(event, "version"));
  if (kind == "stop") return "the monitor ended";
  if (kind == "first-round") return "everything has been asked once, from now on health decides";
  if (kind == "bird") {
    return is(event, "reachable") ? fmt::format("BIRD {} answers", shown(event, "version"))
                                  : "BIRD does not answer" + because(event);
  }
  if (kind == "bird-restart") return "BIRD was restarted, at " + shown(event, "last_reboot");
  if (kind == "bird-configure") return configure_words(event);
  if (kind == "bird-config") {
    return is(event, "good") ? "BIRD would take its configuration again"
                             : "BIRD would not take its configuration" + because(event);
  }
  if (kind == "session") {
    const bool up = is(event, "established");
    return fmt::format("BGP session {} is {}{}", shown(event, "session"), up ? "established" : "down",
                       up ? "" : because(event));
  }
  if (kind == "link") {
    return fmt::format("port {} {}", shown(event, "port"), is(event, "up") ? "has a link again" : "has no link");
  }
  if (kind == "dataplane-restart") return "the dataplane is being restarted, and has said so";
  return std::nullopt;
}

}  // namespace anypop::bgpctl
