// SPDX-License-Identifier: Apache-2.0
// What one probe found out.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace anypop::healthmon {

// Whose word a failure is. A refused connection or a wrong answer comes from the other side; silence may be our own
// deafness; local means that the probe could not be made: no descriptors, no route, no program to run.
enum class Evidence : std::uint8_t { kAnswered, kSilence, kLocal };

struct ProbeResult {
  bool ok = false;
  std::string
      cause;  // "connection refused", "timeout after 90 ms", "HTTP 503, expected 200"; good ones too: "HTTP 200"
  Evidence evidence = Evidence::kAnswered;
  std::chrono::microseconds latency{0};  // from the start of the probe to its result
};

}  // namespace anypop::healthmon
