// SPDX-License-Identifier: Apache-2.0
#include "config_announcement.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/text.h"

namespace anypop {
namespace {

constexpr unsigned kDayMs = 86'400'000;
constexpr unsigned kDayS = 86'400;
constexpr unsigned kPenaltyMax = 100'000;
constexpr unsigned kMost = 10'000;

absl::Status parse_prefix(const std::string& found, std::vector<IpPrefix>& out) {
  const auto prefix = IpPrefix::parse(found);
  if (prefix.ok()) out.push_back(*prefix);
  return prefix.status();
}

absl::Status parse_required(const std::string& found, unsigned& out) {
  const auto number = parse_number<unsigned>(found, 1, kMost);
  if (found != "all" && found != "any" && !number) {
    return invalid_argument("found '{}', expected all, any or a whole number from 1 to {}", escaped(found), kMost);
  }
  out = found == "all" ? 0 : number.value_or(1);
  return absl::OkStatus();
}

void read_flaps(YamlMap& map, FlapConfig& flaps) {
  map.number("half_life_s", flaps.half_life_s, 1U, kDayS);
  map.number("latch_penalty", flaps.latch_penalty, 0U, kPenaltyMax);
  map.number("reuse_penalty", flaps.reuse_penalty, 0U, kPenaltyMax);
  map.number("hold_down_max_ms", flaps.hold_down_max_ms, 0U, kDayMs);
  if (flaps.latch_penalty != 0 && flaps.reuse_penalty >= flaps.latch_penalty) {
    map.error("reuse_penalty",
              fmt::format("found {}, expected less than latch_penalty, {}", flaps.reuse_penalty, flaps.latch_penalty));
  }
}

// What means nothing for a prefix that is announced whatever health says.
void refuse_keys_of_a_canary(YamlMap& map) {
  for (const char* key :
       {"services", "required_services", "min_healthy_percent", "drain_below_percent", "return_margin_percent",
        "min_sessions", "hold_down_ms", "flaps", "keep_last", "if_monitor_lost"}) {
    if (map.has(key))
      map.error(key, "found it with canary: true, expected it only without: a canary is always announced");
  }
}

absl::Status parse_family(const std::string& found, std::vector<Family>& out) {
  const bool is_v4 = found == "ipv4";
  if (!is_v4 && found != "ipv6") return invalid_argument("found '{}', expected ipv4 or ipv6", escaped(found));
  out.push_back(is_v4 ? Family::kV4 : Family::kV6);
  return absl::OkStatus();
}

void read_bird(YamlMap& map, BirdConfig& bird, bool with_families) {
  map.text("socket", bird.socket, with_families);
  map.number<std::uint32_t>("local_as", bird.local_as, 1, 4'294'967'294);
  if (!with_families) return;
  bird.families.clear();
  map.values(
      "families", [&](const std::string& found) { return parse_family(found, bird.families); }, true);
}

bool covers(const AnnouncementConfig& announcement, const IpPrefix& vip) {
  return std::any_of(announcement.prefixes.begin(), announcement.prefixes.end(),
                     [&](const IpPrefix& prefix) { return prefix.contains(vip); });
}

class AnnouncementCheck {
 public:
  AnnouncementCheck(PopConfig& config, std::size_t index, const YAML::Mark& mark, ConfigErrors& errors)
      : config_(config), announcement_(config.announcements[index]), index_(index), mark_(mark), errors_(errors) {}

  void members() {
    if (announcement_.canary) return;
    if (announcement_.services.empty()) {
      for (const ServiceConfig& service : config_.services) {
        if (covers(announcement_, service.vip_prefix())) announcement_.services.push_back(service.name);
      }
      if (announcement_.services.empty()) {
        wrong("prefixes",
              fmt::format("found no service inside the prefixes of '{}', expected at least one", announcement_.name));
      }
      return;
    }
    for (const std::string& name : announcement_.services) {
      const ServiceConfig* service = config_.find_service(name);
      if (service == nullptr) {
        wrong("services", fmt::format("found '{}', expected the name of a service", name));
      } else if (!covers(announcement_, service->vip_prefix())) {
        wrong("services", fmt::format("found '{}', expected its VIP {} to lie inside one of the prefixes", name,
                                      service->vip.to_string()));
      }
    }
  }

  void limits() {
    if (announcement_.required_services > announcement_.services.size() && !announcement_.services.empty()) {
      wrong("required_services", fmt::format("found {}, expected at most its services, {}",
                                             announcement_.required_services, announcement_.services.size()));
    }
    if (announcement_.drain_below_percent != 0 &&
        announcement_.drain_below_percent <= announcement_.min_healthy_percent) {
      wrong("drain_below_percent", fmt::format("found {}, expected more than min_healthy_percent, {}, which withdraws",
                                               announcement_.drain_below_percent, announcement_.min_healthy_percent));
    }
  }

 private:
  void wrong(std::string_view key, std::string_view problem) {
    errors_.add(mark_, fmt::format("announcements[{}].{}", index_, key), problem);
  }

  PopConfig& config_;
  AnnouncementConfig& announcement_;
  std::size_t index_;
  const YAML::Mark& mark_;
  ConfigErrors& errors_;
};

}  // namespace

void read_announcement(YamlMap& map, AnnouncementConfig& announcement) {
  map.name("name", announcement.name);
  map.values(
      "prefixes", [&](const std::string& found) { return parse_prefix(found, announcement.prefixes); }, true);
  map.flag("canary", announcement.canary);
  if (announcement.canary) refuse_keys_of_a_canary(map);
  map.values("services", [&](const std::string& found) {
    announcement.services.push_back(found);
    return absl::OkStatus();
  });
  map.value("required_services",
            [&](const std::string& found) { return parse_required(found, announcement.required_services); });
  map.number("min_healthy_percent", announcement.min_healthy_percent, 1U, 100U);
  map.number("drain_below_percent", announcement.drain_below_percent, 0U, 100U);
  map.number("return_margin_percent", announcement.return_margin_percent, 0U, 100U);
  map.number("min_sessions", announcement.min_sessions, 0U, kMost);
  map.number("hold_down_ms", announcement.hold_down_ms, 0U, kDayMs);
  map.map("flaps", [&](YamlMap& entry) { read_flaps(entry, announcement.flaps); });
  map.flag("keep_last", announcement.keep_last);
  std::size_t choice = static_cast<std::size_t>(announcement.if_monitor_lost);
  map.choice("if_monitor_lost", {"withdraw", "keep"}, choice);
  announcement.if_monitor_lost = announcement.canary ? MonitorLost::kKeep : static_cast<MonitorLost>(choice);
  map.map("drain", [&](YamlMap& entry) {
    entry.number("prepend", announcement.drain.prepend, 0U, 10U);
    entry.number("quiet_pps", announcement.drain.quiet_pps, 0U, 1'000'000'000U);
    entry.number("quiet_s", announcement.drain.quiet_s, 1U, 3600U);
  });
}

void read_birds(YamlMap& map, PopConfig& config, ConfigMarks& marks) {
  map.map("bird", [&](YamlMap& entry) { read_bird(entry, config.birds.front(), false); });
  if (!map.has("birds")) return;
  if (map.has("bird")) return map.error("birds", "found it beside bird, expected one of them");
  config.birds.clear();
  map.list("birds", [&](YamlMap& entry) {
    marks.birds.push_back(entry.mark());
    read_bird(entry, config.birds.emplace_back(), true);
  });
  if (config.birds.empty()) map.error("birds", "found an empty list, expected one for each family");
}

void check_announcements(PopConfig& config, const ConfigMarks& marks, ConfigErrors& errors) {
  std::map<std::string, std::size_t> names;
  std::map<IpPrefix, std::string> prefixes;
  for (std::size_t i = 0; i < config.announcements.size(); ++i) {
    AnnouncementConfig& announcement = config.announcements[i];
    const YAML::Mark& mark = marks.announcements[i];
    const auto place = [&](std::string_view key) { return fmt::format("announcements[{}].{}", i, key); };
    if (!names.emplace(announcement.name, i).second) {
      errors.add(mark, place("name"),
                 fmt::format("found '{}' a second time, expected unique names", announcement.name));
    }
    for (const IpPrefix& prefix : announcement.prefixes) {
      if (const auto [at, added] = prefixes.emplace(prefix, announcement.name); !added) {
        errors.add(mark, place("prefixes"),
                   fmt::format("found {}, which announcement '{}' has already, expected each prefix once",
                               prefix.to_string(), at->second));
      }
    }
    AnnouncementCheck check(config, i, mark, errors);
    check.members();
    check.limits();
  }
  for (std::size_t i = 0; i < config.services.size(); ++i) {
    const IpPrefix vip = config.services[i].vip_prefix();
    const bool covered = std::any_of(config.announcements.begin(), config.announcements.end(),
                                     [&](const AnnouncementConfig& a) { return !a.canary && covers(a, vip); });
    if (!covered) {
      errors.add(marks.services[i].mark, fmt::format("services[{}].vip", i),
                 fmt::format("found {}, which no announcement covers, expected it inside a prefix of announcements",
                             config.services[i].vip_prefix_bits ? vip.to_string() : vip.address().to_string()));
    }
  }
}

void check_birds(const PopConfig& config, const ConfigMarks& marks, ConfigErrors& errors) {
  if (marks.birds.empty()) return;
  std::map<std::string, std::size_t> sockets;
  std::map<Family, std::size_t> families;
  for (std::size_t i = 0; i < config.birds.size(); ++i) {
    if (!sockets.emplace(config.birds[i].socket, i).second) {
      errors.add(marks.birds[i], fmt::format("birds[{}].socket", i),
                 fmt::format("found '{}' a second time, expected a socket each", escaped(config.birds[i].socket)));
    }
    for (const Family family : config.birds[i].families) {
      if (families.emplace(family, i).second) continue;
      errors.add(marks.birds[i], fmt::format("birds[{}].families", i),
                 fmt::format("found {} a second time, expected each family in one BIRD", family_name(family)));
    }
  }
  for (std::size_t i = 0; i < config.announcements.size(); ++i) {
    for (const IpPrefix& prefix : config.announcements[i].prefixes) {
      if (families.contains(prefix.family())) continue;
      errors.add(marks.announcements[i], fmt::format("announcements[{}].prefixes", i),
                 fmt::format("found {}, expected one of birds to have family {}", prefix.to_string(),
                             prefix.family() == Family::kV4 ? "ipv4" : "ipv6"));
    }
  }
}

}  // namespace anypop
