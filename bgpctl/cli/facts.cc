// SPDX-License-Identifier: Apache-2.0
#include "facts.h"

#include <utility>

#include "base/text.h"
#include "bgpctl/announcement.h"
#include "bgpctl/event_log.h"
#include "bird.h"

namespace anypop::bgpctl {
namespace {

void compare_with_bird(const AnnouncementFacts& facts, const AnnouncementStanding& standing,
                       std::vector<std::string>& found) {
  if (!standing.configured) {
    found.push_back(
        fmt::format("BIRD lacks a protocol of it ({}): include the text of `bgpctl render` in bird.conf and "
                    "run `birdc configure`",
                    fmt::join(protocol_names(facts.announcement), ", ")));
    return;
  }
  if (standing.partly_in_table) found.push_back("only some of its protocols are up in BIRD");
  const std::optional<bool> wanted = intended(facts);
  if (wanted && *wanted != standing.in_table && !standing.partly_in_table) {
    found.push_back(fmt::format("intended {}, but BIRD has it {}", level_name(*wanted),
                                standing.in_table ? "in the table" : "not in the table"));
  }
  if (facts.state_file.ok() && *facts.state_file != standing.in_table && !standing.partly_in_table) {
    found.push_back(
        fmt::format("the state file says {}, but BIRD has it {}: the next `configure` of anybody changes it",
                    level_name(*facts.state_file), standing.in_table ? "in the table" : "not in the table"));
  }
  if (standing.in_table && !standing.not_exported_to.empty()) {
    found.push_back(
        fmt::format("in the table, but not exported to {}: does its export filter take `proto ~ \"anypop_*\"`?",
                    fmt::join(standing.not_exported_to, ", ")));
  }
  if (!standing.in_table && !standing.partly_in_table && !standing.exported_to.empty()) {
    found.push_back(
        fmt::format("not in the table from Anypop, but exported to {}: another protocol of BIRD announces a "
                    "prefix of it",
                    fmt::join(standing.exported_to, ", ")));
  }
}

}  // namespace

PopFacts gather_facts(const PopConfig& config, const std::vector<AnnouncementConfig>& announcements) {
  PopFacts pop;
  pop.bird = Bird(config).look();
  pop.monitor = ask_monitor(config);
  for (const AnnouncementConfig& announcement : announcements) {
    AnnouncementFacts facts{announcement};
    facts.hold = load_hold(config, announcement.name, unix_now_ns() / 1'000'000);
    facts.state_file = read_state_file(config, announcement);
    if (pop.bird.ok()) facts.standing = standing(announcement, *pop.bird);
    if (pop.monitor.ok()) {
      if (const auto at = pop.monitor->find(announcement.name); at != pop.monitor->end()) facts.wish = at->second;
    }
    pop.announcements.push_back(std::move(facts));
  }
  return pop;
}

std::optional<bool> intended(const AnnouncementFacts& facts) {
  if (facts.hold.ok() && *facts.hold) return (*facts.hold)->kind == HoldKind::kAnnounce;
  if (facts.wish) return facts.wish->announce;
  return std::nullopt;
}

std::string_view level_name(bool announced) { return announced ? "announced" : "withdrawn"; }

std::vector<std::string> differences(const AnnouncementFacts& facts) {
  std::vector<std::string> found;
  if (!facts.hold.ok()) found.push_back(fmt::format("its hold cannot be read: {}", message(facts.hold.status())));
  if (absl::IsNotFound(facts.state_file.status())) {
    found.push_back("its state file is missing, and BIRD does not start without it: run `bgpctl init`");
  } else if (!facts.state_file.ok()) {
    found.push_back(fmt::format("its state file cannot be read: {}", message(facts.state_file.status())));
  }
  const std::optional<bool> wanted = intended(facts);
  if (wanted && facts.state_file.ok() && *facts.state_file != *wanted) {
    found.push_back(fmt::format("intended {}, but the state file says {}: BIRD would come back so", level_name(*wanted),
                                level_name(*facts.state_file)));
  }
  if (facts.standing) compare_with_bird(facts, *facts.standing, found);
  return found;
}

}  // namespace anypop::bgpctl
