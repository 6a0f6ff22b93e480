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

bool knows_all(const BirdView& view, const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(),
                     [&](const std::string& name) { return view.protocols.contains(name); });
}

Level level_of(const Protocols& family) {
  if (family.drain) return Level::kDrained;
  return family.normal ? Level::kAnnounced : Level::kWithdrawn;
}

void sort_sessions(const AnnouncementConfig& announcement, const BirdView& view,
                   const std::vector<std::string>& drain_names, AnnouncementStanding& result) {
  for (const auto& [name, session] : view.sessions) {
    if (!session.established) continue;
    bool any = false;
    bool all_drained = true;
    for (const IpPrefix& prefix : announcement.prefixes) {
      const auto at = session.prefixes.find(prefix);
      if (at == session.prefixes.end()) continue;
      any = true;
      all_drained = all_drained && std::find(drain_names.begin(), drain_names.end(), at->second) != drain_names.end();
    }
    (any ? result.exported_to : result.not_exported_to).push_back(name);
    if (any && all_drained) result.drained_to.push_back(name);
  }
}

}  // namespace

AnnouncementStanding standing(const AnnouncementConfig& announcement, const BirdView& view) {
  const std::vector<std::string> names = protocol_names(announcement);
  const std::vector<std::string> drain_names = drain_protocol_names(announcement);
  AnnouncementStanding result;
  result.configured = knows_all(view, names);
  result.drainable = knows_all(view, drain_names);
  std::size_t up = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Protocols family{is_up(view, names[i]), is_up(view, drain_names[i])};
    if (family.normal || family.drain) ++up;
    const Level level = level_of(family);
    const bool whole = level != Level::kDrained || family.normal;
    if (i == 0 && whole) result.level = level;
    if (!whole || result.level != level) result.level.reset();
  }
  result.in_table = up == names.size();
  result.partly_in_table = up > 0 && up < names.size();
  sort_sessions(announcement, view, drain_names, result);
  return result;
}

}  // namespace anypop::bgpctl
