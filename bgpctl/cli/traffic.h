// SPDX-License-Identifier: Apache-2.0
// How many packets of an announcement the dataplane has forwarded, asked over its socket.
#pragma once

#include <cstdint>
#include <string>

#include <absl/status/statusor.h>

#include "base/config.h"

namespace anypop::bgpctl {

struct Traffic {
  std::string instance;  // of the dataplane: another one counts from zero
  std::uint64_t packets = 0;
};

// To the backends of all services inside the announcement's prefixes. Unavailable: there is no dataplane, so nothing is
// forwarded.
absl::StatusOr<Traffic> ask_traffic(const PopConfig& config, const AnnouncementConfig& announcement);

}  // namespace anypop::bgpctl
