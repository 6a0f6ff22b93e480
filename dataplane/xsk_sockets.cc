// SPDX-License-Identifier: Apache-2.0
#include "xsk_sockets.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>

#include <sys/socket.h>

#include "base/text.h"

namespace anypop::dataplane {

std::vector<int> open_xsk_sockets() {
  std::vector<int> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const std::string name = entry.path().filename();
    const auto fd = parse_number<int>(name, 0, INT32_MAX);
    if (!fd) continue;
    int domain = 0;
    socklen_t size = sizeof domain;
    if (::getsockopt(*fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_XDP) found.push_back(*fd);
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace anypop::dataplane
