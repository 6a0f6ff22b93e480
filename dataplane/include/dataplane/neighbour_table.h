// SPDX-License-Identifier: Apache-2.0
// Where packets to the backends go next: each one's MAC, or its gateway's, from the kernel's routes and neighbours.
// Pure; the control thread's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/btree_map.h>

#include "base/address.h"
#include "base/config.h"
#include "dataplane/link_message.h"
#include "dataplane/neighbour_message.h"
#include "dataplane/route_message.h"

namespace anypop::dataplane {

// A backend's address. A tunnel goes by the kernel's route, over gateways; `on_link_only` (l2): the backend itself must
// be the neighbour, since a router would send the VIP's packet back.
struct Destination {
  IpAddress address;
  bool on_link_only = false;
};

// Of a configuration: the backends without a `mac:` of their own.
std::vector<Destination> destinations_of(const PopConfig& config);

class NeighbourTable {
 public:
  struct Key {
    unsigned interface_index = 0;
    IpAddress address;
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  // Follows what these destinations need on the ports' interfaces, and nothing else, so that a neighbour table full of
  // strangers costs no memory. With several interfaces the first one that knows an address wins.
  NeighbourTable(std::vector<unsigned> interfaces, const std::vector<Destination>& destinations);

  // The VLAN interfaces that there are now. What is behind one on a port is behind that port, for frames that come and
  // go with its tag. True when there are others on the ports than before; then more neighbours may be followed.
  bool set_vlans(std::span<const VlanLink> vlans);

  // True when the MAC of something followed changed. O(log n).
  bool apply(const NeighbourUpdate& update);
  // Takes a complete dump: what it does not mention is unresolved. True when a MAC changed.
  bool replace(std::span<const NeighbourUpdate> dump);

  // Destinations that go by route, and the route that the kernel gave for each. True when it is another one than
  // before; then more neighbours may be followed than before, whose MACs are still to be read (replace()).
  const std::vector<IpAddress>& routed() const { return routed_; }
  bool set_route(const IpAddress& destination, Route route);
  bool concerned(const RouteChanges& changes) const;  // may one of routed() have another route now?

  // Of the next hop. Of several gateways that have a MAC a destination always takes the same one, each gateway in
  // proportion to its weight; when one loses its MAC, only its own destinations go elsewhere.
  struct NextHop {
    MacAddress mac;
    std::vector<unsigned> interfaces;  // ports behind which it is; more than one if they are on one link
    friend bool operator==(const NextHop&, const NextHop&) = default;
  };
  std::optional<NextHop> next_hop(const IpAddress& destination) const;
  std::optional<MacAddress> mac(const IpAddress& destination) const;
  // For an operator: "10.1.0.1 on eth0", or why there is none. `name` gives an interface's name.
  using InterfaceName = std::function<std::string(unsigned interface_index)>;
  std::string describe(const IpAddress& destination, const InterfaceName& name) const;

  // What the kernel should be asked about: addresses without a MAC, or with one that nobody confirmed lately.
  std::vector<Key> unconfirmed() const;

 private:
  struct Entry {
    std::optional<MacAddress> mac;
    bool confirmed = false;
  };
  using Entries = absl::btree_map<Key, Entry>;

  struct Candidate {
    Key key;
    unsigned weight = 1;
  };

  // The port that an interface is, or that its VLAN is on; nullopt: none.
  std::optional<unsigned> port_of(unsigned interface_index) const;
  std::vector<Candidate> candidates(const IpAddress& destination) const;  // possible next hops on the ports
  std::optional<Key> chosen(const IpAddress& destination) const;          // of those with a MAC
  void follow();
  std::string reason(const IpAddress& destination, const InterfaceName& name) const;

  std::vector<unsigned> interfaces_;
  absl::btree_map<unsigned, unsigned> vlans_;  // an interface on a port, and that port
  std::vector<IpAddress> direct_;
  std::vector<IpAddress> routed_;
  absl::btree_map<IpAddress, Route> routes_;
  Entries entries_;
};

}  // namespace anypop::dataplane
