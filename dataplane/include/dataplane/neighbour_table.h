// SPDX-License-Identifier: Apache-2.0
// The MACs of the addresses that matter, as the kernel knows them. Pure; the control thread's.
#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <absl/container/btree_map.h>

#include "base/address.h"
#include "dataplane/neighbour_message.h"

namespace anypop::dataplane {

class NeighbourTable {
 public:
  struct Key {
    unsigned interface_index = 0;
    IpAddress address;
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  // Follows these addresses on each of these interfaces, and nothing else, so that a neighbour table full of strangers
  // costs no memory. With several interfaces the first one that knows an address wins.
  NeighbourTable(std::vector<unsigned> interfaces, const std::vector<IpAddress>& addresses);

  // True when the MAC of a followed address changed. O(log n).
  bool apply(const NeighbourUpdate& update);
  // Takes a complete dump: what it does not mention is unresolved. True when a MAC changed.
  bool replace(std::span<const NeighbourUpdate> dump);

  std::optional<MacAddress> mac(const IpAddress& address) const;
  // What the kernel should be asked about: addresses without a MAC, or with one that nobody confirmed lately.
  std::vector<Key> unconfirmed() const;

 private:
  struct Entry {
    std::optional<MacAddress> mac;
    bool confirmed = false;
  };
  std::vector<unsigned> interfaces_;
  absl::btree_map<Key, Entry> entries_;
};

}  // namespace anypop::dataplane
