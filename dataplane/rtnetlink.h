// SPDX-License-Identifier: Apache-2.0
// The kernel's side of neighbours and routes: sockets, dumps, questions. Blocking, but only ever for the kernel, which
// answers while it is asked.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/address.h"
#include "dataplane/neighbour_message.h"
#include "dataplane/neighbour_table.h"
#include "dataplane/route_message.h"
#include "probe_route_message.h"

struct mnl_socket;

namespace anypop::dataplane {

class Rtnetlink {
 public:
  // Subscribed to these groups (RTNLGRP_*).
  static absl::StatusOr<Rtnetlink> open(std::initializer_list<unsigned> groups = {});

  int fd() const;
  std::vector<std::byte>& buffer() { return buffer_; }

  // All neighbours of a family.
  absl::Status dump_neighbours(Family family, std::vector<NeighbourUpdate>& all);
  // All VLAN interfaces.
  absl::Status dump_vlans(std::vector<VlanLink>& all);
  // The kernel's route to each.
  absl::StatusOr<Route> find_route(const IpAddress& destination);
  // Adds or deletes one of what the kernel must know about probes. What is there already, or is not there any more, is
  // no error.
  absl::Status change_probe_route(ProbeRoute what, const IpPrefix& sources, unsigned interface_index, bool add);
  // Asks to resolve or confirm a neighbour; there is no answer to wait for.
  void ask_for(const NeighbourTable::Key& neighbour);

 private:
  struct CloseSocket {
    void operator()(mnl_socket* socket) const;
  };
  explicit Rtnetlink(mnl_socket* socket) : socket_(socket) {}

  // take(datagram) → DumpEnd, for each datagram of the answer.
  template <typename Take>
  absl::Status dump(const std::vector<std::byte>& request, std::string_view what, Take take);
  absl::Status send(const std::vector<std::byte>& request);
  absl::StatusOr<std::span<const std::byte>> receive();
  void forget_answers();

  std::unique_ptr<mnl_socket, CloseSocket> socket_;
  std::uint32_t sequence_ = 0;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(64U << 10U);
};

}  // namespace anypop::dataplane
