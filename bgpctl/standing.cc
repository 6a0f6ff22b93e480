// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "bgpctl/announcement.h"
#include "bgpctl/announcer.h"

namespace anypop::bgpctl {

AnnouncementStanding standing(const AnnouncementConfig& announcement, const BirdView& view) {
  const std::vector<std::string> names = protocol_names(announcement);
  std::size_t known = 0;
  std::size_t up = 0;
  for (const std::string& name : names) {
    const auto at = view.protocols.find(name);
    if (at == view.protocols.end()) continue;
    ++known;
    if (at->second.state == "up") ++up;
  }
  AnnouncementStanding result;
  result.configured = known == names.size();
  result.in_table = up == names.size();
  result.partly_in_table = up > 0 && up < names.size();
  for (const auto& entry : view.sessions) {
    const BirdSessionExport& session = entry.second;
    if (!session.established) continue;
    const bool any = std::any_of(announcement.prefixes.begin(), announcement.prefixes.end(),
                                 [&](const IpPrefix& prefix) { return session.prefixes.contains(prefix); });
    (any ? result.exported_to : result.not_exported_to).push_back(entry.first);
  }
  return result;
}

}  // namespace anypop::bgpctl
