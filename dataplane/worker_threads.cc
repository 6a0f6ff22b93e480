// SPDX-License-Identifier: Apache-2.0
#include "dataplane/worker_threads.h"

#include <rte_errno.h>
#include <rte_launch.h>

#include "base/text.h"

namespace anypop::dataplane {

absl::StatusOr<std::unique_ptr<WorkerThreads>> WorkerThreads::launch(
    const std::vector<std::unique_ptr<Worker>>& workers) {
  auto threads = std::unique_ptr<WorkerThreads>(new WorkerThreads());
  for (const auto& worker : workers) {
    const auto run = [](void* argument) {
      static_cast<Worker*>(argument)->run();
      return 0;
    };
    if (const int error = rte_eal_remote_launch(run, worker.get(), worker->number() + 1); error != 0) {
      return internal_error("worker {} does not start: {}", worker->number(), rte_strerror(-error));
    }
    threads->launched_.push_back(worker.get());
  }
  return threads;
}

WorkerThreads::~WorkerThreads() {
  for (Worker* worker : launched_) worker->stop();
  for (const Worker* worker : launched_) rte_eal_wait_lcore(worker->number() + 1);
}

}  // namespace anypop::dataplane
