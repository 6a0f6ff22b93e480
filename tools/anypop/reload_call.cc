// SPDX-License-Identifier: Apache-2.0
#include "reload_call.h"

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "anypop_cli/json_read.h"
#include "base/text.h"
#include "dataplane_api/http_client.h"

namespace anypop::cli {

absl::StatusOr<HttpResponse> post_reload(const std::filesystem::path& socket, std::string_view query,
                                         const std::string& body) {
  return http_call(socket, {"POST", fmt::format("{}{}", dataplane_api::kReloadPath, query), body}, kReloadTimeout);
}

std::string objection_in(const HttpResponse& answer) {
  boost::json::error_code error;
  const boost::json::value body = boost::json::parse(answer.body, error);
  const std::string said = error ? "" : text_of(&body, "error");
  return said.empty() ? fmt::format("answered {}: {}", answer.status, escaped(answer.body)) : said;
}

absl::StatusOr<dataplane_api::ReloadReport> reload_dataplane(const PopConfig& config, std::string_view query,
                                                             const std::string& body) {
  const auto answer = post_reload(config.dataplane_socket(), query, body);
  if (!answer.ok()) return answer.status();
  if (answer->status != 200 && answer->status != 409) return unavailable("{}", objection_in(*answer));
  return dataplane_api::parse_reload_report(answer->body);
}

}  // namespace anypop::cli
