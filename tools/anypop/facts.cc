// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/facts.h"

#include <string>

#include <boost/json/parse.hpp>

#include "base/text.h"
#include "dataplane_api/http_client.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

absl::StatusOr<std::string> get(const std::filesystem::path& socket, std::string_view target) {
  auto answer = http_call(socket, {"GET", std::string(target), ""}, kAnswerTimeout);
  if (!answer.ok()) return answer.status();
  if (answer->status != 200) return unavailable("{}: {} answered {}", socket.string(), target, answer->status);
  return std::move(answer->body);
}

template <typename T, typename Parse>
absl::StatusOr<T> get_message(const std::filesystem::path& socket, std::string_view target, Parse parse) {
  const auto body = get(socket, target);
  if (!body.ok()) return body.status();
  return parse(*body);
}

}  // namespace

absl::StatusOr<json::value> get_json(const std::filesystem::path& socket, std::string_view target) {
  const auto body = get(socket, target);
  if (!body.ok()) return body.status();
  json::error_code error;
  json::value value = json::parse(*body, error);
  if (error) return unavailable("{}: {} is not JSON: {}", socket.string(), target, error.message());
  return value;
}

PopFacts ask_daemons(const PopConfig& config) {
  const auto dataplane = config.dataplane_socket();
  return {get_message<dataplane_api::State>(dataplane, dataplane_api::kStatePath, dataplane_api::parse_state),
          get_message<dataplane_api::Stats>(dataplane, dataplane_api::kStatsPath, dataplane_api::parse_stats),
          get_json(config.monitor_socket(), "/v1/state")};
}

absl::StatusOr<dataplane_api::Heartbeat> ask_heartbeat(const PopConfig& config) {
  return get_message<dataplane_api::Heartbeat>(config.dataplane_socket(), dataplane_api::kHeartbeatPath,
                                               dataplane_api::parse_heartbeat);
}

}  // namespace anypop::cli
