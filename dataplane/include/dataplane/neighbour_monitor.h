// SPDX-License-Identifier: Apache-2.0
// Follows the kernel's routes and neighbours by rtnetlink, and asks the kernel to resolve what is missing: at the
// start, every second, and when an answer is lost. Which way a destination goes is the kernel's own decision, asked for
// anew when a route, rule or link changes. After an overrun of the socket everything is read anew. Control thread only.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>

#include "base/address.h"
#include "dataplane/neighbour_table.h"

namespace anypop::dataplane {

class NeighbourMonitor {
 public:
  // `on_change` is called from the io_context whenever a route or the MAC of a followed address changed, and never from
  // start().
  static absl::StatusOr<std::unique_ptr<NeighbourMonitor>> start(boost::asio::io_context& io, NeighbourTable table,
                                                                 std::function<void()> on_change);
  ~NeighbourMonitor();
  NeighbourMonitor(const NeighbourMonitor&) = delete;
  NeighbourMonitor& operator=(const NeighbourMonitor&) = delete;

  const NeighbourTable& table() const;

 private:
  class Impl;
  explicit NeighbourMonitor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace anypop::dataplane
