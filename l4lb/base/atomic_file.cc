// SPDX-License-Identifier: Apache-2.0
#include "base/atomic_file.h"

#include <array>
#include <cerrno>
#include <string>

#include <absl/cleanup/cleanup.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop {
namespace {

absl::Status file_error(std::string_view what, const std::filesystem::path& path) {
  return errno_error(errno, "{} {}", what, path.string());
}

absl::Status write_and_sync(int file, std::string_view text, const std::filesystem::path& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return file_error("cannot write", path);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file) != 0) return file_error("cannot sync", path);
  return absl::OkStatus();
}

}  // namespace

absl::Status write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  std::string temporary = fmt::format("{}.XXXXXX", path.string());
  const int file = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) return file_error("cannot create a file beside", path);
  absl::Cleanup remove_temporary = [&] { ::unlink(temporary.c_str()); };
  absl::Status status = write_and_sync(file, text, path);
  if (status.ok() && ::fchmod(file, 0644) != 0) status = file_error("cannot set the mode of", path);
  ::close(file);
  if (!status.ok()) return status;
  if (::rename(temporary.c_str(), path.c_str()) != 0) return file_error("cannot replace", path);
  std::move(remove_temporary).Cancel();

  const std::string folder = path.has_parent_path() ? path.parent_path().string() : ".";
  const int folder_file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_file < 0) return file_error("cannot open", folder);
  absl::Cleanup close_folder = [&] { ::close(folder_file); };
  if (::fsync(folder_file) != 0) return file_error("cannot sync", folder);
  return absl::OkStatus();
}

absl::StatusOr<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return file_error("cannot open", path);
  absl::Cleanup close_file = [&] { ::close(file); };
  std::string text;
  std::array<char, 16384> chunk{};
  for (;;) {
    const ssize_t got = ::read(file, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error("cannot read", path);
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > max_bytes) {
      return resource_exhausted("{} is larger than {} bytes", path.string(), max_bytes);
    }
  }
}

}  // namespace anypop
