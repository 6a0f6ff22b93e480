// SPDX-License-Identifier: Apache-2.0
#include "rtnetlink.h"

#include <array>
#include <cerrno>

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

constexpr timeval kAnswerTimeout = {.tv_sec = 1, .tv_usec = 0};

}  // namespace

void Rtnetlink::CloseSocket::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

absl::StatusOr<Rtnetlink> Rtnetlink::open(std::initializer_list<unsigned> groups) {
  Rtnetlink opened(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  bool good = opened.socket_ != nullptr && mnl_socket_bind(opened.socket_.get(), 0, MNL_SOCKET_AUTOPID) == 0;
  for (const unsigned group : groups) {
    unsigned number = group;
    good = good && mnl_socket_setsockopt(opened.socket_.get(), NETLINK_ADD_MEMBERSHIP, &number, sizeof number) == 0;
  }
  if (!good) return errno_error(errno, "cannot follow the kernel's neighbours and routes");
  ::setsockopt(opened.fd(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout, sizeof kAnswerTimeout);
  return opened;
}

int Rtnetlink::fd() const { return mnl_socket_get_fd(socket_.get()); }

absl::Status Rtnetlink::send(const std::vector<std::byte>& request) {
  if (mnl_socket_sendto(socket_.get(), request.data(), request.size()) < 0) {
    return errno_error(errno, "cannot ask the kernel about neighbours and routes");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::span<const std::byte>> Rtnetlink::receive() {
  while (true) {
    const ssize_t size = ::recv(fd(), buffer_.data(), buffer_.size(), 0);
    if (size > 0) return std::span<const std::byte>(buffer_).first(static_cast<std::size_t>(size));
    if (size == 0 || errno != EINTR) return errno_error(errno, "the kernel did not answer about neighbours and routes");
  }
}

template <typename Take>
absl::Status Rtnetlink::dump(const std::vector<std::byte>& request, std::string_view what, Take take) {
  if (absl::Status status = send(request); !status.ok()) return status;
  while (true) {
    const auto datagram = receive();
    if (!datagram.ok()) return datagram.status();
    const DumpEnd end = take(*datagram);
    if (end.error != 0) return errno_error(end.error, "the kernel did not list its {}", what);
    if (end.malformed) return internal_error("the kernel's list of {} is malformed", what);
    if (end.done) return absl::OkStatus();
  }
}

absl::Status Rtnetlink::dump_neighbours(Family family, std::vector<NeighbourUpdate>& all) {
  return dump(neighbour_dump_request(family, ++sequence_), "neighbours", [&](std::span<const std::byte> datagram) {
    const NeighbourMessages messages = parse_neighbour_messages(datagram);
    all.insert(all.end(), messages.updates.begin(), messages.updates.end());
    return messages.end;
  });
}

absl::Status Rtnetlink::dump_vlans(std::vector<VlanLink>& all) {
  return dump(link_dump_request(++sequence_), "links", [&](std::span<const std::byte> datagram) {
    const LinkMessages messages = parse_link_messages(datagram);
    all.insert(all.end(), messages.vlans.begin(), messages.vlans.end());
    return messages.end;
  });
}

void Rtnetlink::forget_answers() {
  while (::recv(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT) > 0) {
  }
}

absl::StatusOr<Route> Rtnetlink::find_route(const IpAddress& destination) {
  forget_answers();
  if (absl::Status status = send(route_request(destination, ++sequence_)); !status.ok()) return status;
  const auto datagram = receive();
  if (!datagram.ok()) return datagram.status();
  auto route = parse_route_answer(*datagram, sequence_);
  if (!route) return internal_error("the kernel's route to {} is malformed", destination.to_string());
  return *std::move(route);
}

absl::Status Rtnetlink::change_probe_route(ProbeRoute what, const IpPrefix& sources, unsigned interface_index,
                                           bool add) {
  constexpr std::array<std::string_view, 3> kNames = {"local addresses", "a table of routes", "a routing rule"};
  const auto name = kNames[static_cast<std::size_t>(what)];
  if (absl::Status status = send(probe_route_request(what, sources, interface_index, add, ++sequence_)); !status.ok()) {
    return status;
  }
  const auto datagram = receive();
  if (!datagram.ok()) return datagram.status();
  // A confirmation has the form of an error that is none.
  const DumpEnd answer = parse_neighbour_messages(*datagram).end;
  if (answer.malformed) return internal_error("the kernel's answer about {} is malformed", name);
  if (answer.error == 0 || answer.error == (add ? EEXIST : ENOENT)) return absl::OkStatus();
  return errno_error(answer.error, "the kernel does not {} {}", add ? "take" : "forget", name);
}

void Rtnetlink::ask_for(const NeighbourTable::Key& neighbour) {
  (void)send(neighbour_resolve_request(neighbour.interface_index, neighbour.address, ++sequence_)).ok();
  // The kernel answers a request that it refuses; unread answers would fill the socket.
  forget_answers();
}

}  // namespace anypop::dataplane
