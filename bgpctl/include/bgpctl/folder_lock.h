// SPDX-License-Identifier: Apache-2.0
// Keeps the removal of an order that has expired from hitting the new one that somebody places at that moment.
#pragma once

#include <chrono>
#include <filesystem>

namespace anypop::bgpctl {

// By flock(2) on the folder of the orders, so that the death of its holder frees it. It is held for microseconds, and
// an order does not wait for a holder that is stopped: had or not after `patience`, it goes on.
class FolderLock {
 public:
  FolderLock(const std::filesystem::path& folder, std::chrono::milliseconds patience);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  bool locked() const { return locked_; }

 private:
  int folder_;
  bool locked_ = false;
};

// For who orders; who removes what has expired tries once.
inline constexpr std::chrono::milliseconds kOrderPatience{20};

}  // namespace anypop::bgpctl
