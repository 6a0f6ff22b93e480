// SPDX-License-Identifier: Apache-2.0
// Looks at links and workers a few times a second and says what changed: a link that goes up or down, an interface that
// is gone, a worker that stands still. Control thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "dataplane/port.h"
#include "dataplane/worker.h"

namespace anypop::dataplane {

inline constexpr std::chrono::milliseconds kWatchInterval{100};
inline constexpr double kWorkerStallMs = 1000;

class Watch {
 public:
  // `replaced` is called when a port's interface was removed and another one has its name now: only a new process can
  // use that one.
  Watch(boost::asio::io_context& io, const std::vector<std::unique_ptr<Port>>& ports,
        const std::vector<std::unique_ptr<Worker>>& workers, std::function<void(const Port&)> replaced);

  Link link(std::size_t port) const { return links_[port].last; }  // as last seen
  std::uint64_t link_changes(std::size_t port) const { return links_[port].changes; }

 private:
  struct LinkHistory {
    Link last = Link::kUp;
    std::uint64_t changes = 0;
  };

  void look();
  void look_at_port(Port& port, LinkHistory& history);
  void look_at_worker(const Worker& worker, bool& stalled) const;

  const std::vector<std::unique_ptr<Port>>& ports_;
  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::function<void(const Port&)> replaced_;
  std::vector<LinkHistory> links_;
  std::vector<char> stalled_;
  boost::asio::steady_timer timer_;
};

}  // namespace anypop::dataplane
