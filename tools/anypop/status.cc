// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "anypop_cli/facts.h"
#include "anypop_cli/fleet.h"
#include "anypop_cli/paint.h"
#include "anypop_cli/status_text.h"
#include "base/text.h"
#include "commands.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

json::value value_or_error(const absl::StatusOr<json::value>& value) {
  if (value.ok()) return *value;
  return json::object{{"error", std::string(message(value.status()))}};
}

}  // namespace

int status(const std::filesystem::path& config_file, bool as_json) {
  const auto config = load_config(config_file);
  if (!config.ok()) {
    fmt::print(stderr, "{}\n", message(config.status()));
    return 1;
  }
  const auto dataplane = config->dataplane_socket();
  const PopFacts facts = ask_daemons(*config);
  if (as_json) {
    const json::object out{{"pop", config->pop},
                           {"good", is_good(facts)},
                           {"monitor", value_or_error(facts.monitor)},
                           {"dataplane", value_or_error(get_json(dataplane, dataplane_api::kStatePath))},
                           {"stats", value_or_error(get_json(dataplane, dataplane_api::kStatsPath))}};
    fmt::print("{}\n", json::serialize(out));
  } else {
    fmt::print("{}", status_text(*config, facts, wants_color()));
  }
  return is_good(facts) ? 0 : 1;
}

int fleet_status(const std::vector<std::string>& targets, const std::string& inventory, bool as_json) {
  const auto all = fleet_targets(targets, inventory);
  if (!all.ok()) {
    fmt::print(stderr, "anypop status: {}\n", message(all.status()));
    return 1;
  }
  const std::vector<FleetAnswer> answers = ask_fleet(*all);
  if (as_json) {
    fmt::print("{}\n", json::serialize(fleet_json(answers)));
  } else {
    fmt::print("{}", fleet_text(answers, wants_color()));
  }
  return fleet_exit_code(answers);
}

}  // namespace anypop::cli
