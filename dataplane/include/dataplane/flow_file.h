// SPDX-License-Identifier: Apache-2.0
// A worker's flow table as a file that processes share: what the worker writes is in it at once, however the worker
// ends. On a tmpfs that is memory and nothing else. A record is one atomic word, so a worker killed in mid-write leaves
// whole ones; what else it leaves is counted anew (FlowTable::adopt()).
//
// The file's contents may be anything. Its folder's owner is trusted not to cut it short while it is in use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include <absl/status/statusor.h>
#include <sys/types.h>

#include "base/owned_fd.h"
#include "l4lb/flow_table.h"

namespace anypop::dataplane {

class FlowFile {
 public:
  // More than EngineConfig::flow_records may be.
  static constexpr std::uint32_t kRecordsMax = 1U << 30U;
  // A file that nobody has used for longer is refused: a record's clock cannot tell longer times apart.
  static constexpr std::uint64_t kAgeMaxMs = 8ULL * 3600 * 1000;

  // A new file with an empty table, in the place of what is there. Its memory is there too, so that a full file system
  // is an error here and no crash later.
  static absl::StatusOr<std::unique_ptr<FlowFile>> create(const std::filesystem::path& path, std::uint32_t records,
                                                          std::uint64_t epoch, std::uint64_t now_ms);
  // One that a process left. InvalidArgument: what is wrong with it; another epoch is. Takes a pass over the table.
  static absl::StatusOr<std::unique_ptr<FlowFile>> open(const std::filesystem::path& path, std::uint64_t epoch,
                                                        std::uint64_t now_ms);
  ~FlowFile();
  FlowFile(const FlowFile&) = delete;
  FlowFile& operator=(const FlowFile&) = delete;

  // Moved out once by whoever writes to it, which must not outlive this.
  l4lb::FlowTable& table() { return *table_; }
  std::uint32_t records() const { return records_; }
  // Says that it is in use. Milliseconds of the monotonic clock.
  void stamp(std::uint64_t now_ms);
  absl::Status give_to(uid_t user, gid_t group) const;

 private:
  struct Header;
  FlowFile(OwnedFd file, std::uint32_t records) : file_(std::move(file)), records_(records) {}
  absl::Status map(const std::filesystem::path& path);
  Header& header() const { return *reinterpret_cast<Header*>(memory_.data()); }
  std::span<std::byte> table_memory() const;

  OwnedFd file_;
  std::uint32_t records_;
  std::span<std::byte> memory_;
  std::unique_ptr<l4lb::FlowTable> table_;
};

}  // namespace anypop::dataplane
