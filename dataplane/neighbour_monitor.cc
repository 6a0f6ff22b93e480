// SPDX-License-Identifier: Apache-2.0
#include "dataplane/neighbour_monitor.h"

#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <linux/rtnetlink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include "base/text.h"
#include "rtnetlink.h"

namespace anypop::dataplane {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kAskEvery{1};
constexpr std::chrono::milliseconds kRoutesEvery{50};  // at most, when routes change without end
constexpr unsigned kDatagramsPerWakeup = 64;  // so that a busy neighbour table does not keep the control socket waiting

void log_failure(const absl::Status& status) {
  if (!status.ok()) spdlog::error("event=neighbours error=\"{}\"", message(status));
}

}  // namespace

class NeighbourMonitor::Impl {
 public:
  Impl(asio::io_context& io, NeighbourTable table, std::function<void()> on_change, Rtnetlink events, Rtnetlink asker)
      : table_(std::move(table)),
        on_change_(std::move(on_change)),
        events_(std::move(events)),
        asker_(std::move(asker)),
        events_fd_(io),
        ask_timer_(io),
        route_timer_(io) {}
  ~Impl() { events_fd_.release(); }  // the socket closes it
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  absl::Status start() {
    // Subscribed before the first look, so that no change falls between the two.
    bool changed = false;
    if (absl::Status status = resync(changed); !status.ok()) return status;
    events_fd_.assign(events_.fd());
    wait_for_events();
    ask_again_later();
    return absl::OkStatus();
  }

  const NeighbourTable& table() const { return table_; }

 private:
  void wait_for_events() {
    events_fd_.async_wait(asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code error) {
      if (error) return;
      const bool changed = read_events();
      if (routes_suspect_) look_at_routes_soon();
      if (changed) on_change_();
      wait_for_events();
    });
  }

  // True when a MAC changed.
  bool read_events() {
    bool changed = false;
    for (unsigned i = 0; i < kDatagramsPerWakeup; ++i) {
      auto& buffer = events_.buffer();
      const ssize_t size = ::recv(events_.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno != ENOBUFS) return changed;
      const bool whole = size >= 0 && static_cast<std::size_t>(size) <= buffer.size();
      if (!whole || !apply(std::span<const std::byte>(buffer).first(static_cast<std::size_t>(size)), changed)) {
        spdlog::warn("event=neighbours text=\"messages were lost, reading all of them anew\"");
        log_failure(resync(changed));
      }
    }
    return changed;
  }

  bool apply(std::span<const std::byte> datagram, bool& changed) {
    const NeighbourMessages messages = parse_neighbour_messages(datagram);
    for (const NeighbourUpdate& update : messages.updates) changed = table_.apply(update) || changed;
    routes_suspect_ = routes_suspect_ || table_.concerned(parse_route_changes(datagram));
    return !messages.end.malformed;
  }

  // At once, unless that was done a moment ago.
  void look_at_routes_soon() {
    const auto due = routes_seen_ + kRoutesEvery;
    if (Clock::now() >= due) {
      bool changed = false;
      log_failure(look_at_routes(changed));
      if (changed) on_change_();
      return;
    }
    route_timer_.expires_at(due);
    route_timer_.async_wait([this](boost::system::error_code error) {
      if (!error && routes_suspect_) look_at_routes_soon();
    });
  }

  absl::Status look_at_routes(bool& changed) {
    routes_suspect_ = false;
    routes_seen_ = Clock::now();
    auto rerouted = look_at_vlans();
    if (!rerouted.ok()) return rerouted.status();
    for (const IpAddress& destination : table_.routed()) {
      auto route = asker_.find_route(destination);
      if (!route.ok()) return route.status();
      rerouted = table_.set_route(destination, *std::move(route)) || *rerouted;
    }
    if (!*rerouted) return absl::OkStatus();
    changed = true;
    // Other gateways: what the kernel knows of them, and what it should find out.
    if (absl::Status status = look_at_neighbours(changed); !status.ok()) return status;
    ask();
    return absl::OkStatus();
  }

  // True when there are others than before.
  absl::StatusOr<bool> look_at_vlans() {
    std::vector<VlanLink> vlans;
    auto socket = Rtnetlink::open();  // as in look_at_neighbours()
    if (!socket.ok()) return socket.status();
    if (absl::Status status = socket->dump_vlans(vlans); !status.ok()) return status;
    return table_.set_vlans(vlans);
  }

  absl::Status look_at_neighbours(bool& changed) {
    std::vector<NeighbourUpdate> all;
    for (const Family family : {Family::kV4, Family::kV6}) {
      // A socket of its own: what is left of a dump that failed must not answer the next question.
      auto socket = Rtnetlink::open();
      if (!socket.ok()) return socket.status();
      if (absl::Status status = socket->dump_neighbours(family, all); !status.ok()) return status;
    }
    changed = table_.replace(all) || changed;
    return absl::OkStatus();
  }

  absl::Status resync(bool& changed) {
    if (absl::Status status = look_at_routes(changed); !status.ok()) return status;
    if (absl::Status status = look_at_neighbours(changed); !status.ok()) return status;
    ask();
    return absl::OkStatus();
  }

  // The kernel sees none of the packets that we forward, so it would let every entry grow stale and forget it.
  void ask() {
    for (const NeighbourTable::Key& key : table_.unconfirmed()) asker_.ask_for(key);
  }

  void ask_again_later() {
    ask_timer_.expires_after(kAskEvery);
    ask_timer_.async_wait([this](boost::system::error_code error) {
      if (error) return;
      // Not every change of a route is announced: the kernel drops those of a link that goes down in silence.
      bool changed = false;
      log_failure(look_at_routes(changed));
      ask();
      if (changed) on_change_();
      ask_again_later();
    });
  }

  NeighbourTable table_;
  std::function<void()> on_change_;
  Rtnetlink events_;
  Rtnetlink asker_;
  asio::posix::stream_descriptor events_fd_;
  asio::steady_timer ask_timer_;
  asio::steady_timer route_timer_;
  bool routes_suspect_ = false;
  Clock::time_point routes_seen_{};
};

absl::StatusOr<std::unique_ptr<NeighbourMonitor>> NeighbourMonitor::start(asio::io_context& io, NeighbourTable table,
                                                                          std::function<void()> on_change) {
  auto events = Rtnetlink::open({RTNLGRP_NEIGH, RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,
                                 RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP});
  if (!events.ok()) return events.status();
  auto asker = Rtnetlink::open();
  if (!asker.ok()) return asker.status();
  auto impl = std::make_unique<Impl>(io, std::move(table), std::move(on_change), *std::move(events), *std::move(asker));
  if (absl::Status status = impl->start(); !status.ok()) return status;
  return std::unique_ptr<NeighbourMonitor>(new NeighbourMonitor(std::move(impl)));
}

NeighbourMonitor::NeighbourMonitor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NeighbourMonitor::~NeighbourMonitor() = default;
const NeighbourTable& NeighbourMonitor::table() const { return impl_->table(); }

}  // namespace anypop::dataplane
