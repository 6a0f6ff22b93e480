// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "bgpctl/announcement.h"
#include "bgpctl/announcer.h"

namespace anypop::bgpctl {

namespace {

struct Protocols {
  bool normal = false;
  bool drain = false;
};

bool is_up(const BirdView& view, const std::string& name) {
  const auto at = view.protocols.find(name);
  return at != view.protocols.end() && at->second.state == "up";
}

Level level_of(const Protocols& family) {
  if (family.drain) return Level::kDrained;
  return family.normal ? Level::kAnnounced : Level::kWithdrawn;
}

bool has(const std::vector<Family>& families, Family family) {
  return std::find(families.begin(), families.end(), family) != families.end();
}

void sort_sessions(const AnnouncementConfig& announcement, const BirdView& view,
                   const std::vector<std::string>& drain_names, AnnouncementStanding& result) {
  for (const auto& [name, session] : view.sessions) {
    if (!session.established) continue;
    bool ours = false;  // has a family of it
    bool any = false;
    bool all_drained = true;
    for (const IpPrefix& prefix : announcement.prefixes) {
      ours = ours || has(session.families, prefix.family());
      const auto at = session.prefixes.find(prefix);
      if (at == session.prefixes.end()) continue;
      any = true;
      all_drained = all_drained && std::find(drain_names.begin(), drain_names.end(), at->second) != drain_names.end();
    }
    if (!ours) continue;
    (any ? result.exported_to : result.not_exported_to).push_back(name);
    if (any && all_drained) result.drained_to.push_back(name);
  }
}

}  // namespace

std::optional<bool> has_others(const AnnouncementConfig& announcement, const BirdView& view) {
  bool all = true;
  for (const IpPrefix& prefix : announcement.prefixes) {
    const auto at = view.others.find(prefix);
    if (at == view.others.end()) return std::nullopt;
    all = all && at->second > 0;
  }
  return all;
}

bool is_told(const AnnouncementConfig& announcement, const BirdView& view) {
  return std::any_of(announcement.prefixes.begin(), announcement.prefixes.end(),
                     [&](const IpPrefix& prefix) { return !has(view.missing, prefix.family()); });
}

AnnouncementStanding standing(const AnnouncementConfig& announcement, const BirdView& view) {
  const std::vector<LevelCommand> normal = commands_for(announcement, Level::kAnnounced);
  AnnouncementStanding result;
  result.configured = result.drainable = true;
  std::size_t up = 0;
  std::size_t told = 0;
  bool mixed = false;
  // Every protocol once: the normal ones first, then those of the drain, in the same order of families.
  const std::size_t families = normal.size() / 2;
  for (std::size_t i = 0; i < families; ++i) {
    if (has(view.missing, normal[i].family)) continue;
    const std::string& name = normal[i].protocol;
    const std::string& drain_name = normal[families + i].protocol;
    result.configured = result.configured && view.protocols.contains(name);
    result.drainable = result.drainable && view.protocols.contains(drain_name);
    const Protocols family{is_up(view, name), is_up(view, drain_name)};
    if (family.normal || family.drain) ++up;
    const Level level = level_of(family);
    const bool whole = level != Level::kDrained || family.normal;
    if (told++ == 0) result.level = level;
    mixed = mixed || !whole || result.level != level;
  }
  if (mixed) result.level.reset();
  result.in_table = told > 0 && up == told;
  result.partly_in_table = up > 0 && up < told;
  sort_sessions(announcement, view, drain_protocol_names(announcement), result);
  return result;
}

}  // namespace anypop::bgpctl
