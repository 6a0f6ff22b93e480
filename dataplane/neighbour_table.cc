// SPDX-License-Identifier: Apache-2.0
#include "dataplane/neighbour_table.h"

#include <set>

namespace anypop::dataplane {

NeighbourTable::NeighbourTable(std::vector<unsigned> interfaces, const std::vector<IpAddress>& addresses)
    : interfaces_(std::move(interfaces)) {
  for (const unsigned interface : interfaces_) {
    for (const IpAddress& address : addresses) entries_.emplace(Key{interface, address}, Entry{});
  }
}

bool NeighbourTable::apply(const NeighbourUpdate& update) {
  const auto at = entries_.find(Key{update.interface_index, update.address});
  if (at == entries_.end()) return false;
  const bool changed = at->second.mac != update.mac;
  at->second = {update.mac, update.confirmed};
  return changed;
}

bool NeighbourTable::replace(std::span<const NeighbourUpdate> dump) {
  std::set<Key> mentioned;
  bool changed = false;
  for (const NeighbourUpdate& update : dump) {
    changed = apply(update) || changed;
    mentioned.insert({update.interface_index, update.address});
  }
  for (auto& [key, entry] : entries_) {
    if (mentioned.contains(key)) continue;
    changed = changed || entry.mac.has_value();
    entry = {};
  }
  return changed;
}

std::optional<MacAddress> NeighbourTable::mac(const IpAddress& address) const {
  for (const unsigned interface : interfaces_) {
    const auto at = entries_.find(Key{interface, address});
    if (at != entries_.end() && at->second.mac) return at->second.mac;
  }
  return std::nullopt;
}

std::vector<NeighbourTable::Key> NeighbourTable::unconfirmed() const {
  std::vector<Key> keys;
  for (const auto& [key, entry] : entries_) {
    if (!entry.confirmed) keys.push_back(key);
  }
  return keys;
}

}  // namespace anypop::dataplane
