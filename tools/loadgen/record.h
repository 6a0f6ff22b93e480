// SPDX-License-Identifier: Apache-2.0
// What became of one request, as one line of JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace anypop::loadgen {

enum class Kind : std::uint8_t { kNew, kLong };  // a connection of its own, or one of many on a long-lived connection

struct Record {
  Kind kind = Kind::kNew;
  std::string target;                  // "v4": the name given with --target
  std::uint64_t connection = 0;        // counts every TCP connection tried, from 1
  std::int64_t scheduled_unix_ns = 0;  // when the plan wanted it
  std::int64_t start_unix_ns = 0;      // when it began; later than scheduled only if this program was late
  std::int64_t end_unix_ns = 0;        // last byte of the answer, or the error
  std::string pop;                     // from the answer; empty after an error
  std::string backend;
  std::string error;  // "" | timeout | refused | reset | unreachable | closed | status | answer | other
};

// One object without a newline. `latency_us` is counted from scheduled_unix_ns, so that a late start is not hidden.
std::string to_json(const Record& record);

// The value of `key` in an answer such as "pop=ams backend=ams-b1\n"; empty if there is none.
std::string_view answer_field(std::string_view answer, std::string_view key);

}  // namespace anypop::loadgen
