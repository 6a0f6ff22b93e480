// SPDX-License-Identifier: Apache-2.0
// DPDK's environment: started once a process, cleaned up at its end, and its messages brought into our log. What DPDK
// reports as an error while something starts is kept, so that the operator gets one line instead of a page.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

namespace anypop::dataplane {

class Eal {
 public:
  // rte_eal_init(). The calling thread becomes the control thread. The error ends in DPDK's own words.
  static absl::StatusOr<std::unique_ptr<Eal>> start(const std::vector<std::string>& arguments);
  ~Eal();  // workers ended, ports closed
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;

  // Until now DPDK's errors were kept for messages; from here on each is a line of the log.
  void log_errors_from_now_on();

 private:
  Eal() = default;
  std::vector<std::string> arguments_;
  std::vector<char*> argv_;
};

// DPDK's first error since the last call, for the end of a message: " (DPDK: …)", or empty.
std::string take_dpdk_error();

}  // namespace anypop::dataplane
