// SPDX-License-Identifier: Apache-2.0
#include "status.h"

#include <algorithm>

#include <boost/json/array.hpp>

#include "base/duration.h"
#include "base/text.h"
#include "bgpctl/printable.h"

namespace anypop::bgpctl {
namespace {

namespace json = boost::json;

std::string prefixes_text(const AnnouncementConfig& announcement) {
  std::string text;
  for (const IpPrefix& prefix : announcement.prefixes) text += (text.empty() ? "" : " ") + prefix.to_string();
  return text;
}

std::string bird_text(const absl::StatusOr<BirdView>& bird) {
  if (!bird.ok()) return fmt::format("  BIRD       ! {}\n", message(bird.status()));
  std::string text;
  for (const BirdInstance& one : bird->instances) {
    text += one.error.empty() ? fmt::format("  BIRD       {} at {}, configured {}\n", one.version, one.socket,
                                            one.last_reconfiguration)
                              : fmt::format("  BIRD       ! {}\n", one.error);
  }
  for (const auto& [name, session] : bird->sessions) {
    const std::string& info = bird->protocols.at(name).info;
    text += fmt::format("  session    {}: {}\n", name, info.empty() ? bird->protocols.at(name).state : printable(info));
  }
  if (bird->sessions.empty()) text += "  session    none: BIRD has no BGP protocol, so nobody is told anything\n";
  return text;
}

std::string config_text(const std::string& trouble) {
  return trouble.empty() ? "" : fmt::format("  pop.yaml   ! {}\n", trouble);
}

std::string intended_text(const PopFacts& pop, const AnnouncementFacts& facts, std::int64_t now_unix_ms) {
  if (!facts.hold.ok()) return "unknown: its hold cannot be read";
  if (*facts.hold) {
    const bool out = (*facts.hold)->kind == HoldKind::kDrain && facts.wish && facts.wish->level == Level::kWithdrawn;
    return hold_text(**facts.hold, now_unix_ms) +
           (out ? "; withdrawn by the monitor: " + printable(facts.wish->cause) : "");
  }
  if (!facts.wish)
    return fmt::format("unknown: {}", pop.monitor.ok() ? "the monitor does not know it" : "monitor not running");
  std::string text = fmt::format("{} by the monitor: {}", level_name(facts.wish->level), printable(facts.wish->cause));
  if (facts.wish->hold_down_remaining_ms > 0) {
    text += fmt::format(" (hold-down for another {})", duration_text(facts.wish->hold_down_remaining_ms));
  }
  return text;
}

std::string table_text(const AnnouncementStanding& at) {
  if (at.partly_in_table || (at.in_table && !at.level)) return "partly";
  if (!at.in_table) return "no";
  return at.level == Level::kDrained ? "yes, drained" : "yes";
}

std::string exported_text(const AnnouncementStanding& standing) {
  const std::size_t established = standing.exported_to.size() + standing.not_exported_to.size();
  if (established == 0) return "to nobody: no session is established";
  if (standing.exported_to.empty()) return fmt::format("to 0 of {} sessions", established);
  return fmt::format("to {} of {} sessions: {}", standing.exported_to.size(), established,
                     fmt::join(standing.exported_to, ", "));
}

// Beneath an order: what health alone would do.
std::string health_text(const AnnouncementFacts& facts) {
  const bool held = facts.hold.ok() && facts.hold->has_value();
  if (!held || !facts.wish || !facts.wish->deserved) return {};
  const std::string& cause = facts.wish->deserved_cause;
  return fmt::format("  health     {}{}{}\n", level_name(*facts.wish->deserved), cause.empty() ? "" : ": ",
                     printable(cause));
}

std::string announcement_text(const PopFacts& pop, const AnnouncementFacts& facts, std::int64_t now_unix_ms) {
  std::string text = fmt::format("\n{}  {}\n", facts.announcement.name, prefixes_text(facts.announcement));
  text += fmt::format("  intended   {}\n", intended_text(pop, facts, now_unix_ms));
  text += health_text(facts);
  text += fmt::format("  state file {}\n", facts.state_file.ok() ? level_name(*facts.state_file) : "unknown");
  if (facts.standing) {
    const AnnouncementStanding& at = *facts.standing;
    text += fmt::format("  in table   {}\n", table_text(at));
    text += fmt::format("  exported   {}\n", exported_text(at));
  } else {
    text += "  in table   unknown: BIRD does not answer\n  exported   unknown: BIRD does not answer\n";
  }
  for (const std::string& difference : differences(facts)) text += fmt::format("  ! {}\n", difference);
  return text;
}

json::value level_json(std::optional<Level> level) {
  if (!level) return nullptr;
  return json::value(std::string(level_name(*level)));
}

json::array names_json(const std::vector<std::string>& names) {
  json::array array;
  for (const std::string& name : names) array.emplace_back(name);
  return array;
}

json::object announcement_json(const AnnouncementFacts& facts) {
  json::array prefixes;
  for (const IpPrefix& prefix : facts.announcement.prefixes) prefixes.emplace_back(prefix.to_string());
  const bool held = facts.hold.ok() && facts.hold->has_value();
  json::object object{{"name", facts.announcement.name}, {"prefixes", prefixes}};
  object["intended"] = level_json(intended(facts));
  object["intended_by"] = held ? json::value("hold") : facts.wish ? json::value("monitor") : json::value(nullptr);
  object["cause"] = facts.wish ? json::value(facts.wish->cause) : json::value(nullptr);
  object["deserved"] = level_json(facts.wish ? facts.wish->deserved : std::nullopt);
  object["deserved_cause"] = facts.wish ? json::value(facts.wish->deserved_cause) : json::value(nullptr);
  object["hold_down_remaining_ms"] = facts.wish ? facts.wish->hold_down_remaining_ms : 0;
  object["hold"] = held ? json::value(hold_json(**facts.hold)) : json::value(nullptr);
  object["state_file"] = level_json(facts.state_file.ok() ? std::optional(*facts.state_file) : std::nullopt);
  if (facts.standing) {
    object["configured"] = facts.standing->configured;
    object["in_table"] = facts.standing->in_table;
    object["partly_in_table"] = facts.standing->partly_in_table;
    object["table_level"] = level_json(facts.standing->level);
    object["drained_to"] = names_json(facts.standing->drained_to);
    object["exported_to"] = names_json(facts.standing->exported_to);
    object["not_exported_to"] = names_json(facts.standing->not_exported_to);
  }
  object["differences"] = names_json(differences(facts));
  return object;
}

}  // namespace

std::string hold_text(const Hold& hold, std::int64_t now_unix_ms) {
  return fmt::format(
      "held {} by {}: {} ({})", level_name(highest_level(hold.kind)), printable(hold.who), printable(hold.reason),
      hold.expires_unix_ms ? fmt::format("for another {}", duration_text(*hold.expires_unix_ms - now_unix_ms))
                           : "until released");
}

std::string status_text(const PopConfig& config, const PopFacts& facts, std::int64_t now_unix_ms) {
  std::string text = fmt::format("PoP {}\n{}", config.pop, config_text(facts.config_trouble) + bird_text(facts.bird));
  for (const std::string& error : facts.bird_config_errors) {
    text += fmt::format("  bird.conf  ! {}: BIRD goes on as it is, but a configure or a start fails\n", error);
  }
  if (facts.monitor.ok()) {
    text += "  monitor    answers\n";
    for (const std::string& warning : facts.monitor->warnings)
      text += fmt::format("  monitor    ! {}\n", printable(warning));
  } else if (absl::IsUnavailable(facts.monitor.status())) {
    text += fmt::format("  monitor    not running ({})\n", message(facts.monitor.status()));
  } else {
    text += fmt::format("  monitor    ! {}\n", message(facts.monitor.status()));
  }
  for (const AnnouncementFacts& announcement : facts.announcements) {
    text += announcement_text(facts, announcement, now_unix_ms);
  }
  return text;
}

json::object status_json(const PopConfig& config, const PopFacts& facts) {
  json::object bird{{"reachable", facts.bird.ok()}, {"socket", config.birds.front().socket}};
  if (facts.bird.ok()) {
    bird["version"] = facts.bird->version;
    bird["last_reboot"] = facts.bird->last_reboot;
    bird["last_reconfiguration"] = facts.bird->last_reconfiguration;
    json::array sessions;
    for (const auto& [name, session] : facts.bird->sessions) {
      sessions.push_back(json::object{
          {"name", name}, {"established", session.established}, {"info", facts.bird->protocols.at(name).info}});
    }
    bird["sessions"] = std::move(sessions);
    json::array instances;
    for (const BirdInstance& one : facts.bird->instances) {
      instances.push_back(json::object{{"socket", one.socket},
                                       {"reachable", one.error.empty()},
                                       {"error", one.error},
                                       {"version", one.version},
                                       {"last_reboot", one.last_reboot},
                                       {"last_reconfiguration", one.last_reconfiguration}});
    }
    bird["instances"] = std::move(instances);
  } else {
    bird["error"] = std::string(message(facts.bird.status()));
  }
  bird["config_errors"] = names_json(facts.bird_config_errors);
  json::object monitor{{"answers", facts.monitor.ok()}};
  if (!facts.monitor.ok()) monitor["error"] = std::string(message(facts.monitor.status()));
  monitor["warnings"] = names_json(facts.monitor.ok() ? facts.monitor->warnings : std::vector<std::string>{});
  json::array announcements;
  for (const AnnouncementFacts& announcement : facts.announcements) {
    announcements.push_back(announcement_json(announcement));
  }
  return {{"pop", config.pop},
          {"config_error", facts.config_trouble.empty() ? json::value(nullptr) : json::value(facts.config_trouble)},
          {"bird", bird},
          {"monitor", monitor},
          {"announcements", announcements}};
}

}  // namespace anypop::bgpctl
