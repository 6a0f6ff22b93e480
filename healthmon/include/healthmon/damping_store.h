// SPDX-License-Identifier: Apache-2.0
// The flap penalties of the announcements on disk: one small file each in state_dir/flaps. Whoever removes a file
// (bgpctl announce) ends the hold-down and the latch of its announcement. One thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "base/config.h"
#include "healthmon/flap_damping.h"
#include "healthmon/monitor_core.h"
#include "healthmon/time.h"

namespace anypop::healthmon {

class DampingStore {
 public:
  // `forgiven` is told the index of an announcement whose file somebody has removed. Folders and files that cannot be
  // made are said in the log, and tried again.
  DampingStore(boost::asio::io_context& io, const PopConfig& config, std::function<void(std::size_t)> forgiven);
  ~DampingStore();  // writes what is not written yet
  DampingStore(const DampingStore&) = delete;
  DampingStore& operator=(const DampingStore&) = delete;

  // What the files say; they are written anew as this boot's. A file that cannot be read counts as none, and the log
  // says so.
  Dampings load(Now now);
  // Written a moment later, so that no command to BIRD waits for a disk.
  void save(std::size_t announcement, const Damping& damping);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace anypop::healthmon
