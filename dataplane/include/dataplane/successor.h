// SPDX-License-Identifier: Apache-2.0
// The next process, started beside this one (SIGUSR2): the same command with --replace, so that an upgraded program is
// taken. It prepares itself while this one forwards, and then asks this one to leave (POST /v1/restart). Control
// thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <sys/types.h>

namespace anypop::dataplane {

class Successor {
 public:
  // `command`: the program's absolute path and its arguments.
  Successor(boost::asio::io_context& io, std::vector<std::string> command);
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  // Nothing happens while one lives. It inherits standard output and error and the environment, and no other file.
  absl::Status start();
  // 0: none lives.
  pid_t pid() const { return pid_; }

 private:
  void wait_for_its_end();

  std::vector<std::string> command_;
  boost::asio::signal_set children_;
  pid_t pid_ = 0;
};

// Asks the dataplane that serves the socket to leave, and waits until its process has ended, because some of what it
// has of its queues goes no sooner. Nobody serves it: that is as good. DeadlineExceeded: it is still there after
// `patience`.
absl::Status relieve(const std::filesystem::path& socket, std::chrono::milliseconds patience);

// The absolute path of a program that was called by this name.
std::string program_path(const char* name);

}  // namespace anypop::dataplane
