// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <string>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "anypop_cli/status_text.h"
#include "base/text.h"
#include "commands.h"
#include "dataplane_api/http_client.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kTimeout{2000};

absl::StatusOr<std::string> get(const std::filesystem::path& socket, std::string_view target) {
  auto answer = http_call(socket, {"GET", std::string(target), ""}, kTimeout);
  if (!answer.ok()) return answer.status();
  if (answer->status != 200) return unavailable("{}: {} answered {}", socket.string(), target, answer->status);
  return std::move(answer->body);
}

absl::StatusOr<json::value> get_json(const std::filesystem::path& socket, std::string_view target) {
  const auto body = get(socket, target);
  if (!body.ok()) return body.status();
  json::error_code error;
  json::value value = json::parse(*body, error);
  if (error) return unavailable("{}: {} is not JSON: {}", socket.string(), target, error.message());
  return value;
}

template <typename T, typename Parse>
absl::StatusOr<T> get_message(const std::filesystem::path& socket, std::string_view target, Parse parse) {
  const auto body = get(socket, target);
  if (!body.ok()) return body.status();
  return parse(*body);
}

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
  const PopFacts facts{
      get_message<dataplane_api::State>(dataplane, dataplane_api::kStatePath, dataplane_api::parse_state),
      get_message<dataplane_api::Stats>(dataplane, dataplane_api::kStatsPath, dataplane_api::parse_stats),
      get_json(config->monitor_socket(), "/v1/state")};
  if (as_json) {
    const json::object out{{"pop", config->pop},
                           {"good", is_good(facts)},
                           {"monitor", value_or_error(facts.monitor)},
                           {"dataplane", value_or_error(get_json(dataplane, dataplane_api::kStatePath))},
                           {"stats", value_or_error(get_json(dataplane, dataplane_api::kStatsPath))}};
    fmt::print("{}\n", json::serialize(out));
  } else {
    fmt::print("{}", status_text(*config, facts));
  }
  return is_good(facts) ? 0 : 1;
}

}  // namespace anypop::cli
