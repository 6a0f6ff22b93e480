// SPDX-License-Identifier: Apache-2.0
// The answers of both daemons as a page for a terminal. Pure.
#pragma once

#include <string>

#include <absl/status/statusor.h>
#include <boost/json/value.hpp>

#include "base/config.h"
#include "dataplane_api/messages.h"

namespace anypop::cli {

// What the daemons said, or why they did not.
struct PopFacts {
  absl::StatusOr<dataplane_api::State> dataplane;
  absl::StatusOr<dataplane_api::Stats> stats;
  absl::StatusOr<boost::json::value> monitor;  // GET /v1/state of the monitor
};

// One line for each announcement, service and backend, the counters that are not 0, and a plain word about a daemon
// that does not answer. Trusts nothing in the monitor's JSON to be there.
std::string status_text(const PopConfig& config, const PopFacts& facts);

// True if both daemons answered and every announcement is wanted: what the exit code says.
bool is_good(const PopFacts& facts);

}  // namespace anypop::cli
