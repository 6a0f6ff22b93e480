// SPDX-License-Identifier: Apache-2.0
#include "dataplane/takeover.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/text.h"

namespace anypop::dataplane {
namespace {

// A thousand services with tables of their own, 65537 slots each, and all their windows open.
constexpr std::size_t kStateMaxBytes = std::size_t{1} << 30U;
// flows.0 and so on: more are not looked for.
constexpr unsigned kFilesMax = 256;
// Enough for a whole table within two minutes, whatever its size.
constexpr unsigned kSweepsAtOnce = 2000;

}  // namespace

Takeover::Takeover(Options options) : options_(std::move(options)), epoch_(options_.new_epoch) {
  absl::Status status = prepare_folder();
  usable_ = status.ok();
  if (!usable_) {
    give_up("flows will not outlive this process", status);
    return;
  }
  status = read_state();
  if (!status.ok() && !absl::IsNotFound(status)) refuse(status);
}

std::filesystem::path Takeover::flows(unsigned number) const {
  return options_.folder / fmt::format("flows.{}", number);
}

void Takeover::give_up(std::string_view what, const absl::Status& reason) {
  std::string line = fmt::format("event=takeover text=\"{}\" error=\"{}\"", what, escaped(message(reason)));
  if (line == std::exchange(said_, line)) return;
  spdlog::warn("{}", said_);
}

absl::Status Takeover::prepare_folder() const {
  const char* const path = options_.folder.c_str();
  if (::mkdir(path, 0700) != 0 && errno != EEXIST) return errno_error(errno, "cannot make {}", path);
  struct stat found {};
  if (::lstat(path, &found) != 0) return errno_error(errno, "cannot look at {}", path);
  if (!S_ISDIR(found.st_mode) || (found.st_mode & 077U) != 0) {
    return failed_precondition("{}: found mode {:o}, expected a folder with mode 700", path, found.st_mode);
  }
  if (::access(path, R_OK | W_OK | X_OK) != 0) return errno_error(errno, "user {} may not use {}", ::geteuid(), path);
  return absl::OkStatus();
}

absl::Status Takeover::read_state() {
  const auto bytes = read_file(state(), kStateMaxBytes);
  if (!bytes.ok()) return bytes.status();
  auto file = decode_legacy(*bytes);
  if (!file.ok()) return make_error(file.status().code(), "{}: {}", state().string(), message(file.status()));
  if (file->boot != options_.boot) return failed_precondition("{}: found another boot's", state().string());
  legacy_ = std::move(file->legacy);
  epoch_ = file->epoch;
  return absl::OkStatus();
}

void Takeover::refuse(const absl::Status& reason) {
  give_up("nothing is taken over, flows begin anew", reason);
  legacy_.reset();
  epoch_ = options_.new_epoch;
}

void Takeover::open_tables() {
  files_.resize(options_.workers);
  memory_.resize(options_.workers);
  // All are open before one gets another number.
  std::vector<std::unique_ptr<FlowFile>> found(usable_ ? kFilesMax : 0);
  for (unsigned number = 0; number < found.size(); ++number) found[number] = open_table(number);
  for (unsigned number = 0; number < found.size(); ++number) {
    if (found[number] != nullptr) place(std::move(found[number]), number);
  }
  make_missing_tables();
  for (const auto& file : files_) {
    if (file != nullptr) records_found_ += file->table().stats().established + file->table().stats().half_open;
  }
  for (const LeftOver& left : left_over_) {
    records_found_ += left.file->table().stats().established + left.file->table().stats().half_open;
  }
}

// nullptr: there is none, or none that can be used.
std::unique_ptr<FlowFile> Takeover::open_table(unsigned number) const {
  auto file = FlowFile::open(flows(number), epoch_, options_.now_ms);
  if (file.ok()) return *std::move(file);
  if (absl::IsNotFound(file.status())) return nullptr;
  if (legacy_) {
    spdlog::warn("event=takeover text=\"a flow table is lost\" error=\"{}\"", escaped(message(file.status())));
  }
  ::unlink(flows(number).c_str());
  return nullptr;
}

void Takeover::place(std::unique_ptr<FlowFile> file, unsigned number) {
  if (number < options_.workers && file->records() == options_.flow_records) {
    files_[number] = std::move(file);
  } else {
    leave_over(std::move(file), number);
  }
}

// Under a number that no worker has, so that the next process finds it too.
void Takeover::leave_over(std::unique_ptr<FlowFile> file, unsigned number) {
  std::filesystem::path path = flows(number);
  if (file->table().empty()) {
    ::unlink(path.c_str());
    return;
  }
  for (unsigned free = options_.workers; number < options_.workers && free < kFilesMax; ++free) {
    if (::access(flows(free).c_str(), F_OK) == 0) continue;
    if (::rename(path.c_str(), flows(free).c_str()) == 0) path = flows(free);
    break;
  }
  left_over_.push_back({std::move(path), std::move(file)});
}

void Takeover::make_missing_tables() {
  for (unsigned worker = 0; worker < options_.workers; ++worker) {
    if (files_[worker] != nullptr) continue;
    if (usable_) {
      auto file = FlowFile::create(flows(worker), options_.flow_records, epoch_, options_.now_ms);
      if (file.ok()) {
        files_[worker] = *std::move(file);
        continue;
      }
      give_up("flows will not outlive this process", file.status());
    }
    memory_[worker] = std::make_unique<l4lb::FlowMemory>(l4lb::FlowTable::bytes_for(options_.flow_records));
  }
}

l4lb::FlowTable Takeover::take_table(unsigned worker) {
  if (files_[worker] != nullptr) return std::move(files_[worker]->table());
  return {memory_[worker]->bytes(), options_.flow_records, epoch_};
}

std::vector<const l4lb::FlowTable*> Takeover::left_over() const {
  std::vector<const l4lb::FlowTable*> tables;
  for (const LeftOver& left : left_over_) tables.push_back(&left.file->table());
  return tables;
}

void Takeover::keep(const Legacy& legacy) {
  if (!usable_) return;
  const absl::Status status = write_file_atomically(state(), encode({legacy, epoch_, options_.boot}));
  if (status.ok()) return;
  ::unlink(state().c_str());
  give_up("flows will not outlive this process", status);
}

void Takeover::tend(std::uint64_t now_ms) {
  for (const auto& file : files_) {
    if (file != nullptr) file->stamp(now_ms);
  }
  const std::uint16_t now = l4lb::FlowClock::units(static_cast<std::uint32_t>(now_ms));
  for (LeftOver& left : left_over_) {
    if (left.removed) continue;
    left.file->stamp(now_ms);
    for (unsigned i = 0; i < kSweepsAtOnce; ++i) left.file->table().sweep(now);
    left.removed = left.file->table().empty();
    if (left.removed) ::unlink(left.path.c_str());
  }
}

absl::Status Takeover::give_to(uid_t user, gid_t group) const {
  if (!usable_) return absl::OkStatus();
  for (const std::filesystem::path& path : {options_.folder, state()}) {
    if (::lchown(path.c_str(), user, group) != 0 && errno != ENOENT) {
      return errno_error(errno, "cannot give {} to user {}", path.string(), user);
    }
  }
  for (const auto& file : files_) {
    if (file == nullptr) continue;
    if (absl::Status status = file->give_to(user, group); !status.ok()) return status;
  }
  for (const LeftOver& left : left_over_) {
    if (absl::Status status = left.file->give_to(user, group); !status.ok()) return status;
  }
  return absl::OkStatus();
}

std::string boot_name() {
  auto name = read_file("/proc/sys/kernel/random/boot_id");
  if (!name.ok()) return "unknown";
  std::erase_if(*name, [](unsigned char c) { return c <= ' '; });
  return *std::move(name);
}

}  // namespace anypop::dataplane
