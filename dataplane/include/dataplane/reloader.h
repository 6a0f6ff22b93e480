// SPDX-License-Identifier: Apache-2.0
// Brings a new configuration into the running dataplane, or says what it would do: read and built on a thread of its
// own, so that the control thread goes on answering heartbeats; put in force on the control thread, all at once.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "dataplane/control_api.h"
#include "dataplane/forwarding.h"
#include "dataplane/neighbour_monitor.h"
#include "dataplane/port.h"

namespace anypop::dataplane {

// The VIPs of all services.
std::vector<IpPrefix> all_vips(const PopConfig& config);

// A backend's next hop, and the ports that lead there.
std::optional<Forwarding::NextHop> find_next_hop(const std::vector<std::unique_ptr<Port>>& ports,
                                                 const NeighbourTable& table, const IpAddress& backend);

class Reloader {
 public:
  // All of it outlives the reloader.
  struct Parts {
    boost::asio::io_context& io;
    Forwarding& forwarding;
    const std::vector<std::unique_ptr<Port>>& ports;
    // Followed from then on for the backends of a configuration; nullptr: no port has neighbours.
    std::function<absl::StatusOr<std::unique_ptr<NeighbourMonitor>>(const PopConfig&)> follow_neighbours;
    std::unique_ptr<NeighbourMonitor>& neighbours;
  };
  explicit Reloader(Parts parts) : parts_(parts) {}

  // Control thread. Reads the configuration's file again. One at a time: Unavailable while another one is under way.
  // InvalidArgument: the configuration is wrong. In all these cases, and when something is refused, nothing changed.
  void reload(ControlApi::ReloadRequest request, ControlApi::ReloadDone done);
  // For a signal: now, or once more after the one under way. The log says what came of it.
  void reload_soon();

 private:
  struct Job;
  void finish(Job& job);
  absl::Status put_in_force(Reload reload);

  Parts parts_;
  bool busy_ = false;
  bool again_ = false;
  boost::asio::thread_pool builder_{1};  // last: its end waits for a job that uses the rest
};

}  // namespace anypop::dataplane
