// SPDX-License-Identifier: Apache-2.0
// What the agent has changed on this server, as its state file keeps it: enough to undo exactly that, also after the
// agent was killed in the middle of it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "system.h"
#include "wish.h"

namespace anypop::backend {

struct ChangedSysctl {
  std::string name;
  std::string before;
  std::string after;
  friend bool operator==(const ChangedSysctl&, const ChangedSysctl&) = default;
};

struct Attachment {
  std::string interface;
  bool made_qdisc = false;
  friend bool operator==(const Attachment&, const Attachment&) = default;
};

// Only what is ours: a VIP that was there before is not in it.
struct Installed {
  Wish wish;
  std::vector<Vip> vips;
  std::vector<ChangedSysctl> sysctls;
  std::vector<Attachment> attachments;
  friend bool operator==(const Installed&, const Installed&) = default;
};

std::string to_json(const Installed& installed);
// InvalidArgument: not written by us.
absl::StatusOr<Installed> parse_installed(std::string_view json);

// What is in `a` and not in `b`, to be undone or restored.
Installed difference(const Installed& a, const Installed& b);
// All of both; of a sysctl or attachment in both, that of `a`.
Installed both(const Installed& a, const Installed& b);

}  // namespace anypop::backend
