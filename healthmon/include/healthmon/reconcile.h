// SPDX-License-Identifier: Apache-2.0
// Intended, written, in the table, exported: four facts about one announcement, compared. Levels, never edges: the
// answer depends only on what is, so that whatever was lost or undone is done again. Pure.
#pragma once

#include <optional>
#include <string>

#include "bgpctl/announcer.h"

namespace anypop::healthmon {

struct Found {
  std::optional<bgpctl::Level> state_file;               // nullopt: missing or not ours
  std::optional<bgpctl::AnnouncementStanding> standing;  // nullopt: BIRD has not told, or did so before a command
};

struct Reconciliation {
  bool set = false;                    // bring it to the intended level
  std::optional<std::string> differs;  // what was found instead of the intended level
  std::optional<std::string> problem;  // what a command cannot repair, and who can
};

Reconciliation reconcile(bgpctl::Level intended, const Found& found);

}  // namespace anypop::healthmon
