// SPDX-License-Identifier: Apache-2.0
// What is different between two configurations, as far as forwarding goes: for people, before or after a reload. Pure.
// Services are the same if they have the same name, backends if they have the same name in the same service.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"

namespace anypop {

enum class Change : std::uint8_t { kAdded, kRemoved, kChanged };
std::string_view change_name(Change change);  // "added", "removed", "changed"

struct BackendDiff {
  std::string name;
  Change change = Change::kChanged;
  std::string what;  // "weight 1 -> 2, address …"; empty unless changed
};

struct ServiceDiff {
  std::string name;
  Change change = Change::kChanged;
  std::string what;                   // of the service's own keys; empty if only backends changed
  std::vector<BackendDiff> backends;  // of a changed service
  std::uint64_t slots = 0;            // of the Maglev table; filled in by l4lb/snapshot_diff.h
  std::uint64_t slots_moved = 0;      // that have another owner than before
};

struct ConfigDiff {
  // What a running dataplane cannot change: "dataplane.cores: found 1, 2, expected 1 as before". Secrets are not shown.
  std::vector<std::string> refused;
  std::vector<std::string> settings;  // what it can, outside services: "dataplane.answer_echo always -> never"
  std::vector<ServiceDiff> services;  // in the order of `after`, removed ones last
};

ConfigDiff diff_configs(const PopConfig& before, const PopConfig& after);

}  // namespace anypop
