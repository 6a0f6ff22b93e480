// SPDX-License-Identifier: Apache-2.0
#include "healthmon/reconcile.h"

#include "base/text.h"

namespace anypop::healthmon {
namespace {

using bgpctl::Level;
using bgpctl::level_name;

void differ(Reconciliation& result, std::string what) {
  result.set = true;
  result.differs = result.differs ? *result.differs + ", " + what : std::move(what);
}

// What a command to BIRD would change; nullopt: nothing.
std::optional<std::string> table_differs(Level intended, const bgpctl::AnnouncementStanding& standing) {
  const bool any_up = standing.in_table || standing.partly_in_table;
  if (intended == Level::kWithdrawn) {
    if (!any_up) return std::nullopt;
    return standing.in_table ? "in BIRD's table" : "partly in BIRD's table";
  }
  if (!standing.configured) return std::nullopt;
  if (!standing.in_table) return standing.partly_in_table ? "only partly in BIRD's table" : "not in BIRD's table";
  if (standing.level == intended || (intended == Level::kDrained && !standing.drainable)) return std::nullopt;
  return standing.level ? fmt::format("{} in BIRD's table", level_name(*standing.level))
                        : "only partly drained in BIRD's table";
}

std::optional<std::string> problem_of(Level intended, const bgpctl::AnnouncementStanding& standing) {
  if (intended != Level::kWithdrawn && standing.in_table && standing.exported_to.empty()) {
    if (standing.not_exported_to.empty()) return "in BIRD's table but no BGP session is established";
    return fmt::format("in BIRD's table but exported to nobody; check the export filter of {}",
                       standing.not_exported_to.front());
  }
  if (!standing.configured || (intended == Level::kDrained && !standing.drainable)) {
    return "BIRD does not have all of its protocols; include the output of `bgpctl render` in bird.conf";
  }
  if (intended == Level::kDrained && standing.drained_to.size() < standing.exported_to.size()) {
    return "drained, but not every session is told so; does another protocol of BIRD announce a prefix of it?";
  }
  return std::nullopt;
}

}  // namespace

Reconciliation reconcile(Level intended, const Found& found) {
  Reconciliation result;
  if (!found.state_file) {
    differ(result, "no state file");
  } else if (*found.state_file != intended) {
    differ(result, fmt::format("state file: {}", level_name(*found.state_file)));
  }
  if (!found.standing) return result;
  if (auto what = table_differs(intended, *found.standing)) differ(result, *std::move(what));
  result.problem = problem_of(intended, *found.standing);
  return result;
}

}  // namespace anypop::healthmon
