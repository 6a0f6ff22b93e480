// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/folder_lock.h"

#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace anypop::bgpctl {

FolderLock::FolderLock(const std::filesystem::path& folder, std::chrono::milliseconds patience)
    : folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (folder_ >= 0 && !(locked_ = ::flock(folder_, LOCK_EX | LOCK_NB) == 0)) {
    if (std::chrono::steady_clock::now() >= end) return;
    std::this_thread::yield();
  }
}

FolderLock::~FolderLock() {
  if (folder_ >= 0) ::close(folder_);
}

}  // namespace anypop::bgpctl
