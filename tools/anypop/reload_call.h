// SPDX-License-Identifier: Apache-2.0
// POST /v1/reload of the daemons. Each call blocks until the answer is there, for kReloadTimeout at most.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "base/config.h"
#include "dataplane_api/http.h"
#include "dataplane_api/messages.h"

namespace anypop::cli {

inline constexpr std::chrono::seconds kReloadTimeout{30};  // the dataplane builds every table

// The raw answer. `query` begins with ? or is empty.
absl::StatusOr<HttpResponse> post_reload(const std::filesystem::path& socket, std::string_view query = "",
                                         const std::string& body = "");
// What a daemon says against it: the `error` of its answer, or the whole of it.
std::string objection_in(const HttpResponse& answer);

// The dataplane's report, also of a reload that it refuses (ReloadReport::refused). An error: there is none.
absl::StatusOr<dataplane_api::ReloadReport> reload_dataplane(const PopConfig& config, std::string_view query = "",
                                                             const std::string& body = "");

}  // namespace anypop::cli
