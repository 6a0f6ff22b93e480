// SPDX-License-Identifier: Apache-2.0
#include "facts.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "bgpctl/announcement.h"
#include "bgpctl/config_check.h"
#include "bgpctl/event_log.h"
#include "bird.h"

namespace anypop::bgpctl {
namespace {

std::string in_bird(const AnnouncementStanding& standing) {
  if (!standing.in_table) return "not in the table";
  return standing.level == Level::kDrained ? "drained in the table" : "in the table";
}

// An order, or `keep_last`, keeps in what health would take out.
bool is_undeserved(const MonitorWish& wish) {
  return wish.deserved == Level::kWithdrawn && wish.level != Level::kWithdrawn;
}

bool agrees(Level wanted, const AnnouncementStanding& standing) {
  return standing.level ? *standing.level == wanted : (wanted != Level::kWithdrawn) == standing.in_table;
}

void compare_exports(const AnnouncementStanding& standing, std::vector<std::string>& found) {
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
  if (standing.level == Level::kDrained && standing.drained_to.size() < standing.exported_to.size()) {
    found.push_back(fmt::format("drained, but only {} of {} sessions are told so", standing.drained_to.size(),
                                standing.exported_to.size()));
  }
}

void compare_with_bird(const AnnouncementFacts& facts, const AnnouncementStanding& standing,
                       std::vector<std::string>& found) {
  if (!standing.configured) {
    found.push_back(
        fmt::format("BIRD lacks a protocol of it ({}): include the text of `bgpctl render` in bird.conf and "
                    "run `birdc configure`",
                    fmt::join(protocol_names(facts.announcement), ", ")));
    return;
  }
  if (!standing.drainable) {
    found.push_back(
        "BIRD lacks its drain protocols, so it cannot be drained: include the text of `bgpctl render` in "
        "bird.conf and run `birdc configure`");
  }
  const std::optional<Level> wanted = intended(facts);
  if (standing.partly_in_table || (standing.in_table && !standing.level)) {
    found.push_back("only some of its protocols are up in BIRD");
  } else {
    if (wanted && !agrees(*wanted, standing)) {
      found.push_back(fmt::format("intended {}, but BIRD has it {}", level_name(*wanted), in_bird(standing)));
    }
    if (facts.state_file.ok() && !agrees(*facts.state_file, standing)) {
      found.push_back(
          fmt::format("the state file says {}, but BIRD has it {}: the next `configure` of anybody changes it",
                      level_name(*facts.state_file), in_bird(standing)));
    }
  }
  compare_exports(standing, found);
}

std::vector<std::string> bird_config_errors(const PopConfig& config) {
  std::vector<std::string> errors;
  for (const BirdConfig& bird : config.birds) {
    boost::asio::io_context io;
    ConfigCheck check(io, bird.socket);
    std::optional<absl::Status> result;
    check.ask([&](absl::Status status) { result = std::move(status); });
    while (!result) io.run_one();
    if (absl::IsInvalidArgument(*result)) errors.emplace_back(message(*result));
  }
  return errors;
}

}  // namespace

PopFacts gather_facts(const PopConfig& config, const std::vector<AnnouncementConfig>& announcements) {
  PopFacts pop;
  pop.bird = Bird(config).look();
  if (pop.bird.ok()) pop.bird_config_errors = bird_config_errors(config);
  pop.monitor = ask_monitor(config);
  for (const AnnouncementConfig& announcement : announcements) {
    AnnouncementFacts facts{announcement};
    facts.hold = load_hold(config, announcement.name, unix_now_ns() / 1'000'000);
    facts.state_file = read_state_file(config, announcement);
    if (pop.bird.ok() && is_told(announcement, *pop.bird)) facts.standing = standing(announcement, *pop.bird);
    if (pop.monitor.ok()) {
      const auto& wishes = pop.monitor->announcements;
      if (const auto at = wishes.find(announcement.name); at != wishes.end()) facts.wish = at->second;
    }
    pop.announcements.push_back(std::move(facts));
  }
  return pop;
}

std::optional<Level> intended(const AnnouncementFacts& facts) {
  const Hold* hold = facts.hold.ok() && *facts.hold ? &**facts.hold : nullptr;
  if (hold != nullptr && hold->kind != HoldKind::kDrain) return highest_level(hold->kind);
  if (!facts.wish) return std::nullopt;
  return hold != nullptr ? std::min(facts.wish->level, Level::kDrained) : facts.wish->level;
}

bool all_is_well(const PopFacts& pop) {
  const bool birds_answer = pop.bird.ok() && std::all_of(pop.bird->instances.begin(), pop.bird->instances.end(),
                                                         [](const BirdInstance& one) { return one.error.empty(); });
  const bool monitor_hangs = !pop.monitor.ok() && !absl::IsUnavailable(pop.monitor.status());
  const bool monitor_warns = pop.monitor.ok() && !pop.monitor->warnings.empty();
  return pop.config_trouble.empty() && birds_answer && pop.bird_config_errors.empty() && !monitor_hangs &&
         !monitor_warns &&
         std::all_of(pop.announcements.begin(), pop.announcements.end(),
                     [](const AnnouncementFacts& facts) { return differences(facts).empty(); });
}

std::vector<std::string> differences(const AnnouncementFacts& facts) {
  std::vector<std::string> found;
  if (!facts.hold.ok()) found.push_back(fmt::format("its hold cannot be read: {}", message(facts.hold.status())));
  if (absl::IsNotFound(facts.state_file.status())) {
    found.push_back("its state file is missing, and BIRD does not start without it: run `bgpctl init`");
  } else if (!facts.state_file.ok()) {
    found.push_back(fmt::format("its state file cannot be read: {}", message(facts.state_file.status())));
  }
  const std::optional<Level> wanted = intended(facts);
  if (wanted && facts.state_file.ok() && *facts.state_file != *wanted) {
    found.push_back(fmt::format("intended {}, but the state file says {}: BIRD would come back so", level_name(*wanted),
                                level_name(*facts.state_file)));
  }
  if (facts.standing) compare_with_bird(facts, *facts.standing, found);
  if (facts.wish && is_undeserved(*facts.wish) && facts.standing && facts.standing->in_table) {
    found.push_back("announced, though health says withdrawn: clients are sent to what does not work");
  }
  return found;
}

}  // namespace anypop::bgpctl
