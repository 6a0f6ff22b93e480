// SPDX-License-Identifier: Apache-2.0
// The running dataplane: everything made in order, and unmade in the reverse one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "base/config.h"

namespace anypop::dataplane {

class App {
 public:
  struct Options {
    // A dataplane that runs is asked to leave once everything is ready that can be made beside it.
    bool replace = false;
    // What SIGUSR2 starts, with --replace: the program's absolute path and its arguments.
    std::vector<std::string> command;
  };
  // Checks the host, takes the control socket and the ports, and starts the workers. On an error nothing is left. The
  // calling thread becomes the control thread.
  static absl::StatusOr<std::unique_ptr<App>> start(PopConfig config, Options options);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Answers the control socket until SIGTERM or SIGINT: 0. 1: a port needs another process, which the log explains.
  int run();

 private:
  class Impl;
  explicit App(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace anypop::dataplane
