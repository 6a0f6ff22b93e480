// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/flaps.h"

#include <cerrno>

#include <unistd.h>

#include "base/text.h"

namespace anypop::bgpctl {

std::filesystem::path flaps_file(const PopConfig& config, std::string_view announcement) {
  return config.flaps_dir() / fmt::format("{}.json", announcement);
}

absl::Status forget_flaps(const PopConfig& config, std::string_view announcement) {
  const std::filesystem::path path = flaps_file(config, announcement);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error(errno, "cannot remove {}", path.string());
  return absl::OkStatus();
}

}  // namespace anypop::bgpctl
