// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include <fmt/format.h>

#include "base/config.h"
#include "base/text.h"
#include "commands.h"

namespace anypop::cli {

int check_config(const std::filesystem::path& file) {
  const auto config = load_config(file);
  if (!config.ok()) {
    fmt::print(stderr, "{}\n", message(config.status()));
    return 1;
  }
  std::size_t backends = 0;
  for (const ServiceConfig& service : config->services) backends += service.backends.size();
  fmt::print("{}: good: PoP {}, {} announcements, {} services, {} backends\n", file.string(), config->pop,
             config->announcements.size(), config->services.size(), backends);
  return 0;
}

}  // namespace anypop::cli
