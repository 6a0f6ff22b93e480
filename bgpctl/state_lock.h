// SPDX-License-Identifier: Apache-2.0
// The lock that whoever changes a level takes: bird_state_dir()/.lock, by flock(2), so that a process that dies leaves
// it. announcer.h says why.
#pragma once

#include <utility>

#include <absl/status/statusor.h>

#include "base/config.h"

namespace anypop::bgpctl {

class StateLock {
 public:
  StateLock() = default;
  // Never blocks. Aborted: somebody else has it now. Creates folder and file if need be.
  static absl::StatusOr<StateLock> try_take(const PopConfig& config);

  StateLock(StateLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  StateLock& operator=(StateLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~StateLock();

 private:
  explicit StateLock(int file) : file_(file) {}
  int file_ = -1;
};

}  // namespace anypop::bgpctl
