// SPDX-License-Identifier: Apache-2.0
// What one probe found out.
#pragma once

#include <string>

namespace anypop::healthmon {

struct ProbeResult {
  bool ok = false;
  std::string
      cause;  // "connection refused", "timeout after 90 ms", "HTTP 503, expected 200"; good ones too: "HTTP 200"
};

}  // namespace anypop::healthmon
