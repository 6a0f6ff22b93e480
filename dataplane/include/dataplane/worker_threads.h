// SPDX-License-Identifier: Apache-2.0
// Worker n runs on DPDK's lcore n + 1; lcore 0 is the control thread. See eal_arguments.h for where they run.
#pragma once

#include <memory>
#include <vector>

#include <absl/status/statusor.h>

#include "dataplane/worker.h"

namespace anypop::dataplane {

class WorkerThreads {
 public:
  // Returns once all of them run.
  static absl::StatusOr<std::unique_ptr<WorkerThreads>> launch(const std::vector<std::unique_ptr<Worker>>& workers);
  ~WorkerThreads();  // stops them and waits
  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

 private:
  WorkerThreads() = default;
  std::vector<Worker*> launched_;
};

}  // namespace anypop::dataplane
