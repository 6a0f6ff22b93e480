// SPDX-License-Identifier: Apache-2.0
#include "shared_file.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop::bgpctl {
namespace {

// Best effort: an unusual owner is no reason to refuse an operator's order.
void give_to_owner_of(const std::filesystem::path& folder, const std::filesystem::path& path) {
  struct stat status {};
  if (::geteuid() != 0 || ::stat(folder.c_str(), &status) != 0) return;
  [[maybe_unused]] const int ignored = ::lchown(path.c_str(), status.st_uid, status.st_gid);
}

}  // namespace

absl::Status make_shared_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return absl::OkStatus();
  if (absl::Status parent = make_shared_folder(folder.parent_path()); !parent.ok()) return parent;
  if (::mkdir(folder.c_str(), 0755) != 0) {
    if (errno == EEXIST) return absl::OkStatus();
    return errno_error(errno, "cannot create the folder {}", folder.string());
  }
  ::chmod(folder.c_str(), 0755);
  give_to_owner_of(folder.parent_path(), folder);
  return absl::OkStatus();
}

absl::StatusOr<int> open_shared_file(const std::filesystem::path& path, int flags, mode_t mode) {
  int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) {
    if (absl::Status folder = make_shared_folder(path.parent_path()); !folder.ok()) return folder;
    file = ::open(path.c_str(), flags | O_CLOEXEC | O_CREAT | O_EXCL, mode);
    if (file >= 0) {
      ::fchmod(file, mode);
      give_to_owner_of(path.parent_path(), path);
    } else if (errno == EEXIST) {  // somebody else was first
      file = ::open(path.c_str(), flags | O_CLOEXEC);
    }
  }
  if (file < 0) return errno_error(errno, "cannot open {}", path.string());
  return file;
}

}  // namespace anypop::bgpctl
