// SPDX-License-Identifier: Apache-2.0
#include "state_lock.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/text.h"
#include "shared_file.h"

namespace anypop::bgpctl {

absl::StatusOr<StateLock> StateLock::try_take(const PopConfig& config) {
  const std::filesystem::path path = config.bird_state_dir() / ".lock";
  // Not for everybody to open: whoever holds the lock keeps announcements from returning.
  const absl::StatusOr<int> file = open_shared_file(path, O_RDWR, 0660);
  if (!file.ok()) return file.status();
  StateLock lock(*file);
  if (::flock(*file, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK || errno == EINTR) {
    return make_error(absl::StatusCode::kAborted, "{} is held by another bgpctl or healthmon", path.string());
  }
  return errno_error(errno, "cannot lock {}", path.string());
}

StateLock::~StateLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace anypop::bgpctl
