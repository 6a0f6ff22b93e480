// SPDX-License-Identifier: Apache-2.0
// The monitor's line to the dataplane: heartbeats on one kept connection, everything else on another, so that a slow
// answer delays no heartbeat. One thread.
#pragma once

#include <functional>
#include <memory>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>

#include "base/config.h"
#include "dataplane_api/messages.h"

namespace anypop::healthmon {

class DataplaneLink {
 public:
  // As DataplaneCondition::on_heartbeat() wants it: Unavailable only after a new connection was tried and refused, so
  // that the death of the process is seen when it happens.
  using OnHeartbeat = std::function<void(const absl::StatusOr<dataplane_api::Heartbeat>&)>;

  // Asks from now on, every heartbeat_interval_ms.
  DataplaneLink(boost::asio::io_context& io, const PopConfig& config, OnHeartbeat on_heartbeat);
  ~DataplaneLink();  // no handler is called any more
  DataplaneLink(const DataplaneLink&) = delete;
  DataplaneLink& operator=(const DataplaneLink&) = delete;

  // Carried out one after another. DeadlineExceeded after a second.
  void read_state(std::function<void(const absl::StatusOr<dataplane_api::State>&)> handler);
  void read_stats(std::function<void(const absl::StatusOr<dataplane_api::Stats>&)> handler);
  void push_health(const dataplane_api::HealthUpdate& update, std::function<void(const absl::Status&)> handler);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace anypop::healthmon
