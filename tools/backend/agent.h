// SPDX-License-Identifier: Apache-2.0
// Makes a server a backend, and undoes it. Everything is recorded in the state file before it is done, so that
// whatever ends the agent, the next install or remove knows what there is to undo. One agent at a time.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "installed.h"
#include "system.h"
#include "wish.h"

namespace anypop::backend {

// On an error everything is as it was before. Installing a second time changes what is different, and nothing else;
// what the first one made and the second does not want is undone.
absl::Status install(System& system, const std::filesystem::path& state_file, Wish wish);

// Undoes what was installed. Nothing installed is fine. Goes on after an error, and returns the first.
absl::Status remove(System& system, const std::filesystem::path& state_file);

// How things are, against how they should be.
struct Part {
  std::string what;  // "VIP 198.51.100.1/32 on lo"
  bool good = false;
  std::string problem;  // empty when good
};
struct InterfaceCounters {
  std::string interface;
  Counters packets{};
};
struct Condition {
  Wish wish;
  std::vector<Part> parts;
  std::vector<InterfaceCounters> counters;
  bool good() const;
};
// NotFound: nothing is installed.
absl::StatusOr<Condition> look(System& system, const std::filesystem::path& state_file);

}  // namespace anypop::backend
