// SPDX-License-Identifier: Apache-2.0
// The monitor's files about an announcement's flaps: what they hold is its business, that they can be removed is
// everybody's. With its file gone, an announcement has no hold-down and no latch.
#pragma once

#include <filesystem>
#include <string_view>

#include <absl/status/status.h>

#include "base/config.h"

namespace anypop::bgpctl {

// `announcement` must be a name of the configuration.
std::filesystem::path flaps_file(const PopConfig& config, std::string_view announcement);
// OK if there was none.
absl::Status forget_flaps(const PopConfig& config, std::string_view announcement);

}  // namespace anypop::bgpctl
