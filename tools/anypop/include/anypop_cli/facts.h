// SPDX-License-Identifier: Apache-2.0
// What the daemons of this PoP say of themselves, asked over their sockets.
#pragma once

#include <chrono>
#include <filesystem>
#include <string_view>

#include <absl/status/statusor.h>
#include <boost/json/value.hpp>

#include "base/config.h"
#include "dataplane_api/messages.h"

namespace anypop::cli {

inline constexpr std::chrono::milliseconds kAnswerTimeout{2000};

// What the daemons said, or why they did not.
struct PopFacts {
  absl::StatusOr<dataplane_api::State> dataplane;
  absl::StatusOr<dataplane_api::Stats> stats;
  absl::StatusOr<boost::json::value> monitor;  // GET /v1/state of the monitor
};

// Each blocks for at most kAnswerTimeout a question. Errors name the socket.
PopFacts ask_daemons(const PopConfig& config);
absl::StatusOr<dataplane_api::Heartbeat> ask_heartbeat(const PopConfig& config);
absl::StatusOr<boost::json::value> get_json(const std::filesystem::path& socket, std::string_view target);

}  // namespace anypop::cli
