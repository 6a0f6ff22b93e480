// SPDX-License-Identifier: Apache-2.0
#include "healthmon/reconcile.h"

#include "base/text.h"

namespace anypop::healthmon {
namespace {

std::string_view level_name(bool announced) { return announced ? "announced" : "withdrawn"; }

void differ(Reconciliation& result, std::string what) {
  result.set = true;
  result.differs = result.differs ? *result.differs + ", " + what : std::move(what);
}

}  // namespace

Reconciliation reconcile(bool intended, const Found& found) {
  Reconciliation result;
  if (!found.state_file) {
    differ(result, "no state file");
  } else if (*found.state_file != intended) {
    differ(result, fmt::format("state file: {}", level_name(*found.state_file)));
  }
  if (!found.standing) return result;
  const bgpctl::AnnouncementStanding& standing = *found.standing;
  if (!standing.configured) {
    result.problem = "BIRD does not have all of its protocols; include the output of `bgpctl render` in bird.conf";
  }
  const bool any_up = standing.in_table || standing.partly_in_table;
  if (!intended && any_up) {
    differ(result, standing.in_table ? "in BIRD's table" : "partly in BIRD's table");
  } else if (intended && !standing.in_table && standing.configured) {
    differ(result, standing.partly_in_table ? "only partly in BIRD's table" : "not in BIRD's table");
  }
  if (intended && standing.in_table && standing.exported_to.empty()) {
    result.problem = standing.not_exported_to.empty()
                         ? "in BIRD's table but no BGP session is established"
                         : fmt::format("in BIRD's table but exported to nobody; check the export filter of {}",
                                       standing.not_exported_to.front());
  }
  return result;
}

}  // namespace anypop::healthmon
