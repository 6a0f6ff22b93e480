// SPDX-License-Identifier: Apache-2.0
// Several PoPs side by side: where their monitors are, and what they said. Pure, except ask_fleet().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace anypop::cli {

// Where a PoP's monitor answers: http://HOST:PORT, its socket, the folder that the socket is in, or the configuration
// that names the folder.
struct FleetTarget {
  std::string name;  // empty until the monitor has said it
  std::string address;
};

// "ams=http://192.0.2.1:9000" or an address alone.
FleetTarget parse_target(std::string_view text);
// A target a line, "NAME ADDRESS" or an address alone; # begins a comment. InvalidArgument names file and line.
absl::StatusOr<std::vector<FleetTarget>> parse_inventory(std::string_view text, std::string_view file);

// Those that were named, and those of the file `inventory` if there is one. The error names the file.
absl::StatusOr<std::vector<FleetTarget>> fleet_targets(const std::vector<std::string>& targets,
                                                       const std::string& inventory);

struct FleetAnswer {
  FleetTarget target;
  absl::StatusOr<boost::json::value> monitor;  // its GET /v1/state
};
// Asks all of them at a time; each blocks for at most kAnswerTimeout.
std::vector<FleetAnswer> ask_fleet(const std::vector<FleetTarget>& targets);

// 0: every PoP answers, and all that it should announce is announced. 1: one does not announce something. 3: one does
// not answer.
int fleet_exit_code(const std::vector<FleetAnswer>& answers);
// A line a PoP, and below it what is not as it should be.
std::string fleet_text(const std::vector<FleetAnswer>& answers, bool color = false);
boost::json::object fleet_json(const std::vector<FleetAnswer>& answers);

}  // namespace anypop::cli
