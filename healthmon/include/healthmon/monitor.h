// SPDX-License-Identifier: Apache-2.0
// The daemon: MonitorCore with probes, sockets, files and clocks around it, on one io_context and one thread. It holds
// no logic of its own.
#pragma once

#include <cstdint>
#include <memory>

#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>

#include "base/config.h"

namespace anypop::healthmon {

class Monitor {
 public:
  // Serves run_dir/healthmon.sock and begins its work. The error is one line with the remedy: a folder is missing or
  // not ours, or another monitor serves the socket. A dataplane or a BIRD that does not answer is no error. `seed`
  // drives the jitter of the probes.
  static absl::StatusOr<std::unique_ptr<Monitor>> start(boost::asio::io_context& io, PopConfig config,
                                                        std::uint64_t seed);
  // Reads the configuration's file again. What did not change goes on as if nothing had happened; an announcement that
  // is gone is withdrawn. The error is one line, and then nothing has changed. FailedPrecondition: what cannot change
  // while the monitor runs, or a file that a probe needs.
  absl::Status reload();

  // Stops; leaves every announcement as it is.
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

 private:
  class Impl;
  explicit Monitor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace anypop::healthmon
