// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/event_reader.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <absl/status/statusor.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop::bgpctl {
namespace {

constexpr off_t kTailBytes = 256 << 10;
constexpr unsigned kRotationsMax = 1000;

using OnLine = std::function<void(std::string_view)>;

std::filesystem::path rotated(const std::filesystem::path& path, unsigned number) {
  return number == 0 ? path : std::filesystem::path(fmt::format("{}.{}", path.string(), number));
}

}  // namespace

struct EventReader::File {
  int fd = -1;
  struct stat about {};
  std::string line;       // begun
  bool too_long = false;  // the rest of it is passed over, up to its end

  File() = default;
  ~File() {
    if (fd >= 0) ::close(fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // NotFound: there is none.
  static absl::StatusOr<std::unique_ptr<File>> open(const std::filesystem::path& path) {
    auto file = std::make_unique<File>();
    file->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0) return errno_error(errno, "cannot read {}", path.string());
    if (::fstat(file->fd, &file->about) != 0) return errno_error(errno, "cannot read {}", path.string());
    if (!S_ISREG(file->about.st_mode)) {
      return failed_precondition("cannot read {}: it is not a regular file", path.string());
    }
    return file;
  }

  bool is(const struct stat& other) const { return about.st_dev == other.st_dev && about.st_ino == other.st_ino; }

  // From `offset`, and of what is begun there only whole lines.
  void begin_at(off_t offset) {
    if (offset <= 0) return;
    char before = '\n';
    ::lseek(fd, offset, SEEK_SET);
    if (::pread(fd, &before, 1, offset - 1) == 1 && before != '\n') too_long = true;
  }

  absl::Status read(const std::filesystem::path& path, const OnLine& on_line) {
    struct stat now {};
    if (::fstat(fd, &now) == 0 && now.st_size < ::lseek(fd, 0, SEEK_CUR)) {  // truncated in place
      ::lseek(fd, 0, SEEK_SET);
      line.clear();
      too_long = false;
    }
    std::array<char, 64U << 10U> chunk;
    for (;;) {
      const ssize_t size = ::read(fd, chunk.data(), chunk.size());
      if (size < 0) return errno_error(errno, "cannot read {}", path.string());
      if (size == 0) return absl::OkStatus();
      take(std::string_view(chunk.data(), static_cast<std::size_t>(size)), on_line);
    }
  }

  void take(std::string_view bytes, const OnLine& on_line) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      const std::string_view part = bytes.substr(0, end);
      if (line.size() + part.size() > kLineMaxBytes) too_long = true;
      if (too_long) {
        line.clear();
      } else {
        line += part;
      }
      if (end == std::string_view::npos) return;
      if (!too_long && !line.empty()) on_line(line);
      line.clear();
      too_long = false;
      bytes.remove_prefix(end + 1);
    }
  }
};

EventReader::EventReader(std::filesystem::path path, Begin begin) : path_(std::move(path)), begin_(begin) {}
EventReader::~EventReader() = default;
EventReader::EventReader(EventReader&&) noexcept = default;
EventReader& EventReader::operator=(EventReader&&) noexcept = default;

absl::Status EventReader::read(const OnLine& on_line) { return started_ ? follow(on_line) : start(on_line); }

void EventReader::begin_file(std::unique_ptr<File> file) {
  previous_ = std::move(current_);
  current_ = std::move(file);
}

absl::Status EventReader::start(const OnLine& on_line) {
  auto file = File::open(path_);
  if (!file.ok() && !absl::IsNotFound(file.status())) return file.status();
  started_ = true;
  const unsigned oldest = begin_ == Begin::kOldest ? rotations() : std::min(rotations(), 1U);
  for (unsigned number = oldest; number > 0; --number) {
    auto old = File::open(rotated(path_, number));
    if (!old.ok()) {
      if (absl::IsNotFound(old.status())) continue;
      return old.status();
    }
    if (file.ok() && (*old)->is((*file)->about)) continue;  // rotated while we looked
    if (begin_ != Begin::kOldest) (*old)->begin_at((*old)->about.st_size);
    begin_file(*std::move(old));
    if (absl::Status status = current_->read(path_, on_line); !status.ok()) return status;
  }
  if (!file.ok()) return absl::OkStatus();
  if (begin_ == Begin::kTail) (*file)->begin_at((*file)->about.st_size - kTailBytes);
  if (begin_ == Begin::kEnd) (*file)->begin_at((*file)->about.st_size);
  begin_file(*std::move(file));
  return current_->read(path_, on_line);
}

absl::Status EventReader::follow(const OnLine& on_line) {
  for (const auto& file : {previous_.get(), current_.get()}) {
    if (file == nullptr) continue;
    if (absl::Status status = file->read(path_, on_line); !status.ok()) return status;
  }
  struct stat now {};
  if (::stat(path_.c_str(), &now) == 0 && current_ && current_->is(now)) return absl::OkStatus();
  for (unsigned number = newer_rotations() + 1; number-- > 0;) {
    auto file = File::open(rotated(path_, number));
    if (!file.ok()) return absl::IsNotFound(file.status()) ? absl::OkStatus() : file.status();
    begin_file(*std::move(file));
    if (absl::Status status = current_->read(path_, on_line); !status.ok()) return status;
  }
  return absl::OkStatus();
}

unsigned EventReader::rotations() const {
  unsigned number = 0;
  struct stat ignored {};
  while (number < kRotationsMax && ::stat(rotated(path_, number + 1).c_str(), &ignored) == 0) ++number;
  return number;
}

unsigned EventReader::newer_rotations() const {
  const auto known = [](const std::unique_ptr<File>& file, const struct stat& about) {
    return file != nullptr && file->is(about);
  };
  unsigned number = 0;
  struct stat about {};
  while (number < kRotationsMax && ::stat(rotated(path_, number + 1).c_str(), &about) == 0) {
    if (known(current_, about) || known(previous_, about)) break;
    ++number;
  }
  return number;
}

}  // namespace anypop::bgpctl
