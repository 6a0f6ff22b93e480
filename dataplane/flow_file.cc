// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_file.h"

#include <atomic>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

constexpr std::uint64_t kMagic = 0x414e59504f50464cULL;  // "ANYPOPFL"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 4096;
constexpr std::size_t kHugePageBytes = std::size_t{2} << 20U;
constexpr int kAdvicePopulateWrite = 23;  // of Linux 5.14, not in Debian 12's headers everywhere
constexpr int kAdviceCollapse = 25;       // of Linux 6.1

std::size_t file_bytes(std::uint32_t records) { return kHeaderBytes + l4lb::FlowTable::bytes_for(records); }

absl::Status refuse_without_memory(int error, const std::filesystem::path& path, std::uint32_t records) {
  return errno_error(error, "no {} bytes for {}", file_bytes(records), path.string());
}

}  // namespace

struct FlowFile::Header {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t records;
  std::uint64_t epoch;
  std::atomic<std::uint64_t> used_ms;
};

FlowFile::~FlowFile() {
  if (!memory_.empty()) ::munmap(memory_.data(), memory_.size());
}

std::span<std::byte> FlowFile::table_memory() const { return memory_.subspan(kHeaderBytes); }

// At a multiple of a huge page, in the file and in memory, so that huge pages fit. They are only a wish.
absl::Status FlowFile::map(const std::filesystem::path& path) {
  const std::size_t bytes = (file_bytes(records_) + kHeaderBytes - 1) / kHeaderBytes * kHeaderBytes;
  void* const room = ::mmap(nullptr, bytes + kHugePageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return errno_error(errno, "no room to map {}", path.string());
  const std::size_t before =
      (kHugePageBytes - reinterpret_cast<std::uintptr_t>(room) % kHugePageBytes) % kHugePageBytes;
  auto* const at = static_cast<std::byte*>(room) + before;
  if (before != 0) ::munmap(room, before);
  ::munmap(at + bytes, kHugePageBytes - before);
  memory_ = {at, bytes};
  if (::mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file_.get(), 0) == MAP_FAILED) {
    return errno_error(errno, "cannot map {}", path.string());
  }
  if (bytes >= kHugePageBytes) {
    (void)::madvise(at, bytes, MADV_HUGEPAGE);
    (void)::madvise(at, bytes, kAdviceCollapse);
  }
  (void)::madvise(at, bytes, kAdvicePopulateWrite);  // so that no packet waits for a page
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FlowFile>> FlowFile::create(const std::filesystem::path& path, std::uint32_t records,
                                                           std::uint64_t epoch, std::uint64_t now_ms) {
  ::unlink(path.c_str());
  OwnedFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (fd.get() < 0) return errno_error(errno, "cannot make {}", path.string());
  if (const int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(file_bytes(records))); error != 0) {
    ::unlink(path.c_str());
    return refuse_without_memory(error, path, records);
  }
  auto file = std::unique_ptr<FlowFile>(new FlowFile(std::move(fd), records));
  if (absl::Status status = file->map(path); !status.ok()) {
    ::unlink(path.c_str());
    return status;
  }
  file->table_ = std::make_unique<l4lb::FlowTable>(file->table_memory(), records, epoch);
  Header& header = file->header();
  header.version = kVersion;
  header.records = records;
  header.epoch = epoch;
  file->stamp(now_ms);
  std::atomic_ref(header.magic).store(kMagic, std::memory_order_release);  // from here on it counts
  return file;
}

absl::StatusOr<std::unique_ptr<FlowFile>> FlowFile::open(const std::filesystem::path& path, std::uint64_t epoch,
                                                         std::uint64_t now_ms) {
  OwnedFd fd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (fd.get() < 0) return errno_error(errno, "cannot open {}", path.string());
  struct stat found {};
  if (::fstat(fd.get(), &found) != 0) return errno_error(errno, "cannot look at {}", path.string());
  const auto refuse = [&](std::string_view what, auto is, auto expected) {
    return invalid_argument("{}: found {} {}, expected {}", path.string(), what, is, expected);
  };
  if (!S_ISREG(found.st_mode) || found.st_nlink != 1) return refuse("something else,", "no plain file", "a flow table");
  struct Fields {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t records;
    std::uint64_t epoch;
    std::uint64_t used_ms;
  } fields{};
  static_assert(sizeof(Fields) == sizeof(Header));
  if (::pread(fd.get(), &fields, sizeof fields, 0) != ssize_t{sizeof fields} || fields.magic != kMagic) {
    return refuse("something else,", "no header", "a flow table");
  }
  if (fields.version != kVersion) return refuse("version", fields.version, kVersion);
  if (fields.records == 0 || fields.records > kRecordsMax) return refuse("records", fields.records, "fewer");
  if (static_cast<std::size_t>(found.st_size) != file_bytes(fields.records)) {
    return refuse("bytes", found.st_size, file_bytes(fields.records));
  }
  if (fields.epoch != epoch) return refuse("epoch", fields.epoch, epoch);
  if (fields.used_ms > now_ms || now_ms - fields.used_ms > kAgeMaxMs) {
    return refuse("last use at", fields.used_ms, fmt::format("at most {} ms before {}", kAgeMaxMs, now_ms));
  }
  // It may have holes.
  if (const int error = ::posix_fallocate(fd.get(), 0, found.st_size); error != 0) {
    return refuse_without_memory(error, path, fields.records);
  }
  auto file = std::unique_ptr<FlowFile>(new FlowFile(std::move(fd), fields.records));
  if (absl::Status status = file->map(path); !status.ok()) return status;
  auto table = l4lb::FlowTable::adopt(file->table_memory(), fields.records, epoch);
  if (!table) return refuse("a table of another layout,", "unusable", "this version's");
  file->table_ = std::make_unique<l4lb::FlowTable>(*std::move(table));
  file->stamp(now_ms);
  return file;
}

void FlowFile::stamp(std::uint64_t now_ms) { header().used_ms.store(now_ms, std::memory_order_relaxed); }

absl::Status FlowFile::give_to(uid_t user, gid_t group) const {
  return ::fchown(file_.get(), user, group) == 0 ? absl::OkStatus()
                                                 : errno_error(errno, "cannot give a flow table away");
}

}  // namespace anypop::dataplane
