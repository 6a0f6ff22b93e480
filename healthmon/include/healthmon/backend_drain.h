// SPDX-License-Identifier: Apache-2.0
// An operator's order that a backend gets no new flows: one small file each, in state_dir/drained, so that it survives
// every restart and can be placed with every process dead. The file's being there is the order, whatever it holds; it
// says who gave it and why. Times are Unix milliseconds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/config.h"

namespace anypop::healthmon {

struct DrainOrder {
  std::string service;
  std::string backend;
  std::string reason;
  std::string who;
  std::int64_t placed_unix_ms = 0;
  std::optional<std::int64_t> expires_unix_ms;  // nullopt: until released
  friend bool operator==(const DrainOrder&, const DrainOrder&) = default;
};

std::filesystem::path drains_dir(const PopConfig& config);

// NotFound names the service or backend that the configuration does not have.
absl::Status place_drain(const PopConfig& config, const DrainOrder& order);
// OK if there was none.
absl::Status release_drain(const PopConfig& config, std::string_view service, std::string_view backend);
// The orders in force, for backends that the configuration has. O(files). The error is that of the folder. One that has
// expired is removed by whoever finds it so, if they may: a clock that steps back does not revive it.
absl::StatusOr<std::vector<DrainOrder>> load_drains(const PopConfig& config, std::int64_t now_unix_ms);

}  // namespace anypop::healthmon
