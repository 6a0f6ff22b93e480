// SPDX-License-Identifier: Apache-2.0
#include "dataplane/watch.h"

#include <utility>

#include <spdlog/spdlog.h>

namespace anypop::dataplane {

Watch::Watch(boost::asio::io_context& io, const std::vector<std::unique_ptr<Port>>& ports,
             const std::vector<std::unique_ptr<Worker>>& workers, std::function<void(const Port&)> replaced)
    : ports_(ports),
      workers_(workers),
      replaced_(std::move(replaced)),
      links_(ports.size()),
      stalled_(workers.size()),
      timer_(io) {
  look();
}

void Watch::look() {
  for (std::size_t i = 0; i < ports_.size(); ++i) look_at_port(*ports_[i], links_[i]);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    bool stalled = stalled_[i] != 0;
    look_at_worker(*workers_[i], stalled);
    stalled_[i] = static_cast<char>(stalled);
  }
  timer_.expires_after(kWatchInterval);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) look();
  });
}

void Watch::look_at_port(Port& port, LinkHistory& history) {
  const Link link = port.link();
  if (link != history.last) {
    ++history.changes;
    spdlog::log(link == Link::kUp ? spdlog::level::info : spdlog::level::warn, "event=link port={} device={} link={}",
                port.config().name, port.config().device, link_name(link));
    if (port.kernel() != nullptr) port.kernel()->set_link(link == Link::kUp);
    history.last = link;
  }
  if (port.is_replaced()) replaced_(port);
}

void Watch::look_at_worker(const Worker& worker, bool& stalled) const {
  const double age_ms = worker.age_ms();
  if ((age_ms > kWorkerStallMs) == stalled) return;
  stalled = !stalled;
  if (stalled) {
    spdlog::error("event=worker_stall worker={} age_ms={:.0f}", worker.number(), age_ms);
  } else {
    spdlog::info("event=worker_resumed worker={}", worker.number());
  }
}

}  // namespace anypop::dataplane
