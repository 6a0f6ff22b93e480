// SPDX-License-Identifier: Apache-2.0
// HTTP over TCP, for a monitor on another machine.
#pragma once

#include <chrono>
#include <string>

#include <absl/status/statusor.h>

namespace anypop::cli {

// The body of the answer to one GET. `url`: http://HOST:PORT. Blocks for at most `timeout`. Errors name the URL.
absl::StatusOr<std::string> http_get(const std::string& url, const std::string& target,
                                     std::chrono::milliseconds timeout);

}  // namespace anypop::cli
