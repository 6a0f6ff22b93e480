// SPDX-License-Identifier: Apache-2.0
#include "event_sentence.h"

#include <string_view>
#include <utility>

#include <absl/strings/ascii.h>

#include "base/text.h"
#include "bgpctl/event_words.h"
#include "event_text.h"
#include "page_parts.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

std::string with_cause(std::string sentence, std::string_view cause) {
  return cause.empty() ? sentence : fmt::format("{}: {}", sentence, cause);
}

std::string backend_of(const json::object& event) {
  return fmt::format("{}/{}", text_at(event, "service"), text_at(event, "backend"));
}

std::string verdict(const json::object& event) {
  const std::string_view level = text_at(event, "level");
  const std::string_view shall = level == "drained"           ? "drained"
                                 : flag_at(event, "announce") ? "announced"
                                                              : "withdrawn";
  return with_cause(fmt::format("{} is to be {}", text_at(event, "announcement"), shall), text_at(event, "cause"));
}

std::string command(const json::object& event) {
  const std::string_view name = text_at(event, "announcement");
  if (!flag_at(event, "ok")) {
    return fmt::format("BIRD was told, but {} is not {}: {}", name, text_at(event, "level"), text_at(event, "error"));
  }
  const double ms =
      static_cast<double>(number_at(event, "replied_unix_ns") - number_at(event, "sent_unix_ns")) / 1'000'000;
  return fmt::format("{} is {} in BIRD, which took {:.1f} ms", name, text_at(event, "level"), ms);
}

std::string dataplane(const json::object& event) {
  return flag_at(event, "alive") ? "The dataplane forwards"
                                 : with_cause("The dataplane does not forward", text_at(event, "cause"));
}

std::string order(const json::object& event, bool placed) {
  const std::string_view name = text_at(event, "announcement");
  const std::string_view kind = text_at(event, "kind");
  if (!placed && text_at(event, "cause") == "expired") return fmt::format("The {} hold on {} has expired", kind, name);
  return with_cause(
      fmt::format("{} {} a {} hold on {}", text_at(event, "who"), placed ? "placed" : "released", kind, name),
      text_at(event, "reason"));
}

std::string capitalized(std::string sentence) {
  if (!sentence.empty()) sentence[0] = absl::ascii_toupper(static_cast<unsigned char>(sentence[0]));
  return sentence;
}

std::string hold_file(const json::object& event) {
  const std::string_view name = text_at(event, "announcement");
  if (flag_at(event, "readable")) return fmt::format("The hold file of {} can be read again", name);
  return with_cause(fmt::format("The hold file of {} cannot be read, and the order that was in force stays", name),
                    text_at(event, "cause"));
}

std::string panic(const json::object& event) {
  return with_cause(
      fmt::format("{} {}", text_at(event, "service"), flag_at(event, "panic") ? "panics" : "panics no more"),
      text_at(event, "cause"));
}

}  // namespace

std::string event_sentence(const json::object& event) {
  const std::string_view name = text_at(event, "event");
  if (name == "verdict") return verdict(event);
  if (name == "command") return command(event);
  if (name == "backend") {
    return with_cause(fmt::format("{} is {}", backend_of(event), flag_at(event, "healthy") ? "healthy" : "unhealthy"),
                      text_at(event, "cause"));
  }
  if (name == "dataplane") return dataplane(event);
  if (auto words = bgpctl::event_words(event)) return capitalized(*std::move(words));
  if (name == "drain") {
    return with_cause(fmt::format("The drain of {} has ended", text_at(event, "announcement")),
                      text_at(event, "ended"));
  }
  if (name == "hold-file") return hold_file(event);
  if (name == "reload") {
    return flag_at(event, "ok") ? "Another pop.yaml is in force"
                                : with_cause("The reload was refused", text_at(event, "error"));
  }
  if (name == "hold") return order(event, true);
  if (name == "release") return order(event, false);
  if (name == "panic") return panic(event);
  if (name == "drain-backend") return with_cause(backend_of(event) + " gets no new flows", text_at(event, "reason"));
  if (name == "undrain-backend") return backend_of(event) + " gets new flows again";
  if (name == "drift") {
    return fmt::format("{} should be {}, and was found otherwise: {}", text_at(event, "announcement"),
                       text_at(event, "intended"), text_at(event, "found"));
  }
  if (name == "latch") {
    return fmt::format("{} {}", text_at(event, "announcement"),
                       flag_at(event, "latched") ? "has flapped too often and stays out" : "is latched no more");
  }
  if (name == "forgive") return fmt::format("The flaps of {} are forgiven", text_at(event, "announcement"));
  if (name == "last-announcer") {
    return with_cause(fmt::format("{} is {}", text_at(event, "announcement"),
                                  flag_at(event, "kept") ? "kept, because nobody else announces it"
                                                         : "no longer kept in spite of a fault"),
                      text_at(event, "cause"));
  }
  if (name == "second-opinion") return with_cause("Nothing answers", text_at(event, "cause"));
  json::object shown = event;
  for (const char* key : {"unix_ns", "unix_ms", "time", "program"}) shown.erase(key);
  return event_text(shown);
}

}  // namespace anypop::healthmon
