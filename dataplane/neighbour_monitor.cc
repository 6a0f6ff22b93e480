// SPDX-License-Identifier: Apache-2.0
#include "dataplane/neighbour_monitor.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kAskEvery{1};
constexpr std::size_t kDatagramMaxBytes = 64U << 10U;
constexpr timeval kDumpTimeout = {.tv_sec = 1, .tv_usec = 0};
constexpr unsigned kDatagramsPerWakeup = 64;  // so that a busy neighbour table does not keep the control socket waiting

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

absl::StatusOr<Socket> open_socket(unsigned groups) {
  Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), groups, MNL_SOCKET_AUTOPID) != 0) {
    return errno_error(errno, "cannot follow the kernel's neighbour table");
  }
  return socket;
}

absl::Status send(mnl_socket& socket, const std::vector<std::byte>& request) {
  if (mnl_socket_sendto(&socket, request.data(), request.size()) < 0) {
    return errno_error(errno, "cannot ask the kernel about neighbours");
  }
  return absl::OkStatus();
}

}  // namespace

class NeighbourMonitor::Impl {
 public:
  Impl(asio::io_context& io, NeighbourTable table, std::function<void()> on_change)
      : table_(std::move(table)), on_change_(std::move(on_change)), events_fd_(io), timer_(io) {}
  ~Impl() { events_fd_.release(); }  // the socket closes it
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  absl::Status start() {
    auto events = open_socket(RTMGRP_NEIGH);
    if (!events.ok()) return events.status();
    events_ = *std::move(events);
    auto requests = open_socket(0);
    if (!requests.ok()) return requests.status();
    requests_ = *std::move(requests);
    // Subscribed before the dump, so that no change falls between the two.
    if (absl::Status status = resync().status(); !status.ok()) return status;
    events_fd_.assign(mnl_socket_get_fd(events_.get()));
    wait_for_events();
    ask();
    return absl::OkStatus();
  }

  const NeighbourTable& table() const { return table_; }

 private:
  void wait_for_events() {
    events_fd_.async_wait(asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code error) {
      if (error) return;
      if (read_events()) on_change_();
      wait_for_events();
    });
  }

  // True when a MAC changed.
  bool read_events() {
    bool changed = false;
    for (unsigned i = 0; i < kDatagramsPerWakeup; ++i) {
      const ssize_t size =
          ::recv(mnl_socket_get_fd(events_.get()), buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_TRUNC);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno != ENOBUFS) return changed;
      const bool whole = size >= 0 && static_cast<std::size_t>(size) <= buffer_.size();
      if (!whole || !apply(static_cast<std::size_t>(size), changed)) {
        spdlog::warn("event=neighbours text=\"messages were lost, reading all of them anew\"");
        const auto dumped = resync();
        if (!dumped.ok()) spdlog::error("event=neighbours error=\"{}\"", message(dumped.status()));
        changed = changed || (dumped.ok() && *dumped);
      }
    }
    return changed;
  }

  bool apply(std::size_t size, bool& changed) {
    const NeighbourMessages messages = parse_neighbour_messages(std::span(buffer_).first(size));
    for (const NeighbourUpdate& update : messages.updates) changed = table_.apply(update) || changed;
    return !messages.malformed;
  }

  // True when a MAC changed.
  absl::StatusOr<bool> resync() {
    std::vector<NeighbourUpdate> all;
    for (const Family family : {Family::kV4, Family::kV6}) {
      if (absl::Status status = dump(family, all); !status.ok()) return status;
    }
    return table_.replace(all);
  }

  absl::Status dump(Family family, std::vector<NeighbourUpdate>& all) {
    auto socket = open_socket(0);
    if (!socket.ok()) return socket.status();
    const int fd = mnl_socket_get_fd(socket->get());
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kDumpTimeout, sizeof kDumpTimeout);
    if (absl::Status status = send(**socket, neighbour_dump_request(family, ++sequence_)); !status.ok()) return status;
    while (true) {
      const ssize_t size = ::recv(fd, buffer_.data(), buffer_.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return errno_error(errno, "the kernel did not list its neighbours");
      NeighbourMessages messages = parse_neighbour_messages(std::span(buffer_).first(static_cast<std::size_t>(size)));
      all.insert(all.end(), messages.updates.begin(), messages.updates.end());
      if (messages.error != 0) return errno_error(messages.error, "the kernel did not list its neighbours");
      if (messages.malformed) return internal_error("the kernel's list of neighbours is malformed");
      if (messages.done) return absl::OkStatus();
    }
  }

  // The kernel sees none of the packets that we forward, so it would let every entry grow stale and forget it.
  void ask() {
    for (const NeighbourTable::Key& key : table_.unconfirmed()) {
      const auto request = neighbour_resolve_request(key.interface_index, key.address, ++sequence_);
      if (absl::Status status = send(*requests_, request); !status.ok()) {
        spdlog::debug("event=neighbours error=\"{}\"", message(status));
      }
    }
    drain_errors();
    timer_.expires_after(kAskEvery);
    timer_.async_wait([this](boost::system::error_code error) {
      if (!error) ask();
    });
  }

  // The kernel answers a request that it refuses; unread answers would fill the socket.
  void drain_errors() {
    while (::recv(mnl_socket_get_fd(requests_.get()), buffer_.data(), buffer_.size(), MSG_DONTWAIT) > 0) {
    }
  }

  NeighbourTable table_;
  std::function<void()> on_change_;
  Socket events_;
  Socket requests_;
  asio::posix::stream_descriptor events_fd_;
  asio::steady_timer timer_;
  std::uint32_t sequence_ = 0;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kDatagramMaxBytes);
};

absl::StatusOr<std::unique_ptr<NeighbourMonitor>> NeighbourMonitor::start(asio::io_context& io, NeighbourTable table,
                                                                          std::function<void()> on_change) {
  auto impl = std::make_unique<Impl>(io, std::move(table), std::move(on_change));
  if (absl::Status status = impl->start(); !status.ok()) return status;
  return std::unique_ptr<NeighbourMonitor>(new NeighbourMonitor(std::move(impl)));
}

NeighbourMonitor::NeighbourMonitor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NeighbourMonitor::~NeighbourMonitor() = default;
const NeighbourTable& NeighbourMonitor::table() const { return impl_->table(); }

}  // namespace anypop::dataplane
