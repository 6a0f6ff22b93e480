// SPDX-License-Identifier: Apache-2.0
// The answers of the control socket, put together from what ports, workers and the forwarding state say of themselves.
// Control thread; reads the workers' counters without holding them up.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "dataplane/forwarding.h"
#include "dataplane/port.h"
#include "dataplane/watch.h"
#include "dataplane/worker.h"
#include "dataplane_api/messages.h"

namespace anypop::dataplane {

// Everything that reports. The parts outlive it.
struct Reporters {
  std::string instance;
  const Forwarding* forwarding = nullptr;
  const std::vector<std::unique_ptr<Port>>* ports = nullptr;
  const std::vector<std::unique_ptr<Worker>>* workers = nullptr;
  const Watch* watch = nullptr;
  std::function<std::string(const IpAddress&)> next_hop;  // of a backend without a `mac:` of its own, in words
  std::function<std::uint64_t()> planned_restart_ms;      // PlannedRestart::announced_ms()
};

dataplane_api::Heartbeat report_heartbeat(const Reporters& from);
dataplane_api::State report_state(const Reporters& from);
dataplane_api::Stats report_stats(const Reporters& from);

// A name that no other run of the program has had.
std::string make_instance_name();

}  // namespace anypop::dataplane
