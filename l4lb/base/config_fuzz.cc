// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = anypop::parse_config({reinterpret_cast<const char*>(data), size}, "fuzz.yaml");
  // An error is exactly one line, whatever the input holds.
  if (!config.ok() && config.status().message().find('\n') != std::string_view::npos) std::abort();
  return 0;
}
