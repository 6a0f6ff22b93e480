// SPDX-License-Identifier: Apache-2.0
// From what is wanted and how the server is to what must be done. Looks, and changes nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "installed.h"
#include "system.h"

namespace anypop::backend {

// What will be ours once `wish` is installed on a server where `old` is. Fails when it cannot be: no such interface,
// an address that this server does not have, a program of somebody else.
absl::StatusOr<Installed> plan(System& system, const Wish& wish, const Installed& old);

// A setting below net/ipv4/conf/ that an interface which packets arrive on must have.
struct Rule {
  std::string_view key;
  bool (*met)(unsigned level);
  std::string_view expected;
};
std::vector<Rule> rules(const Wish& wish);
// What the kernel goes by: the larger of the interface's own value and that of `all`.
absl::StatusOr<unsigned> level_in_force(System& system, const std::string& interface, std::string_view key);

}  // namespace anypop::backend
