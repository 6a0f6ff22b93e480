// SPDX-License-Identifier: Apache-2.0
#include "dataplane/neighbour_table.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

// A number in (0, 1) that is the same on every server, so that they agree on a backend's gateway.
double drawn(const IpAddress& destination, const IpAddress& gateway) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a, and a finalizer so that near addresses differ in every bit
  for (const IpAddress* address : {&destination, &gateway}) {
    for (const std::uint8_t byte : address->bytes()) hash = (hash ^ byte) * 0x100000001b3U;
  }
  hash = (hash ^ (hash >> 33U)) * 0xff51afd7ed558ccdU;
  hash ^= hash >> 33U;
  return (static_cast<double>(hash >> 11U) + 0.5) / static_cast<double>(std::uint64_t{1} << 53U);
}

}  // namespace

std::vector<Destination> destinations_of(const PopConfig& config) {
  std::vector<Destination> destinations;
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& backend : service.backends) {
      if (!backend.mac) destinations.push_back({backend.address, service.forwarding == anypop::Forwarding::kL2});
    }
  }
  return destinations;
}

NeighbourTable::NeighbourTable(std::vector<unsigned> interfaces, const std::vector<Destination>& destinations)
    : interfaces_(std::move(interfaces)) {
  std::set<IpAddress> direct;
  std::set<IpAddress> routed;
  for (const Destination& destination : destinations) {
    (destination.on_link_only ? direct : routed).insert(destination.address);
  }
  direct_.assign(direct.begin(), direct.end());
  std::set_difference(routed.begin(), routed.end(), direct.begin(), direct.end(), std::back_inserter(routed_));
  for (const IpAddress& destination : routed_) routes_.emplace(destination, Route{});
  follow();
}

std::optional<unsigned> NeighbourTable::port_of(unsigned interface_index) const {
  if (std::find(interfaces_.begin(), interfaces_.end(), interface_index) != interfaces_.end()) return interface_index;
  const auto vlan = vlans_.find(interface_index);
  return vlan == vlans_.end() ? std::nullopt : std::optional(vlan->second);
}

bool NeighbourTable::set_vlans(std::span<const VlanLink> vlans) {
  auto before = std::exchange(vlans_, {});
  // One in another (802.1ad) is found in the next pass.
  for (std::size_t found = 1; found > 0;) {
    found = 0;
    for (const VlanLink& vlan : vlans) {
      if (port_of(vlan.interface_index)) continue;
      const auto port = port_of(vlan.below);
      if (port && vlans_.emplace(vlan.interface_index, *port).second) ++found;
    }
  }
  if (before == vlans_) return false;
  follow();
  return true;
}

std::vector<NeighbourTable::Candidate> NeighbourTable::candidates(const IpAddress& destination) const {
  std::vector<Candidate> found;
  const auto route = routes_.find(destination);
  if (route == routes_.end()) {
    for (const unsigned interface : interfaces_) found.push_back({{interface, destination}, 1});
    for (const auto& [vlan, port] : vlans_) found.push_back({{vlan, destination}, 1});
    return found;
  }
  for (const RouteHop& hop : route->second.hops) {
    if (port_of(hop.interface_index)) {
      found.push_back({{hop.interface_index, hop.gateway.value_or(destination)}, hop.weight});
    }
  }
  return found;
}

void NeighbourTable::follow() {
  Entries followed;
  const auto add = [&](const IpAddress& destination) {
    for (const Candidate& candidate : candidates(destination)) {
      const auto known = entries_.find(candidate.key);
      followed.emplace(candidate.key, known == entries_.end() ? Entry{} : known->second);
    }
  };
  for (const IpAddress& destination : direct_) add(destination);
  for (const IpAddress& destination : routed_) add(destination);
  entries_ = std::move(followed);
}

bool NeighbourTable::apply(const NeighbourUpdate& update) {
  const auto at = entries_.find(Key{update.interface_index, update.address});
  if (at == entries_.end()) return false;
  const bool changed = at->second.mac != update.mac;
  at->second = {update.mac, update.confirmed};
  return changed;
}

bool NeighbourTable::replace(std::span<const NeighbourUpdate> dump) {
  follow();  // and so forgets the gateways of former routes
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

bool NeighbourTable::set_route(const IpAddress& destination, Route route) {
  const auto at = routes_.find(destination);
  if (at == routes_.end() || at->second == route) return false;
  at->second = std::move(route);
  for (const Candidate& candidate : candidates(destination)) entries_.try_emplace(candidate.key);
  return true;
}

bool NeighbourTable::concerned(const RouteChanges& changes) const {
  if (changes.all) return !routed_.empty();
  return std::any_of(changes.prefixes.begin(), changes.prefixes.end(), [&](const IpPrefix& prefix) {
    // In order, so that a full table's churn costs a search each and not a walk.
    const auto first = std::lower_bound(routed_.begin(), routed_.end(), prefix.address());
    return first != routed_.end() && prefix.contains(*first);
  });
}

std::optional<NeighbourTable::Key> NeighbourTable::chosen(const IpAddress& destination) const {
  std::optional<Key> best;
  double best_score = 0;
  const bool routed = routes_.contains(destination);
  for (const Candidate& candidate : candidates(destination)) {
    const auto entry = entries_.find(candidate.key);
    if (entry == entries_.end() || !entry->second.mac) continue;
    if (!routed) return candidate.key;
    // Weighted rendezvous hashing.
    const double score = candidate.weight / -std::log(drawn(destination, candidate.key.address));
    if (!best || score > best_score) {
      best = candidate.key;
      best_score = score;
    }
  }
  return best;
}

std::optional<NeighbourTable::NextHop> NeighbourTable::next_hop(const IpAddress& destination) const {
  const auto key = chosen(destination);
  if (!key) return std::nullopt;
  NextHop found{*entries_.find(*key)->second.mac, {}};
  for (const Candidate& candidate : candidates(destination)) {
    const auto entry = entries_.find(candidate.key);
    if (entry == entries_.end() || entry->second.mac != found.mac) continue;
    const unsigned port = *port_of(candidate.key.interface_index);
    if (std::ranges::find(found.interfaces, port) == found.interfaces.end()) found.interfaces.push_back(port);
  }
  return found;
}

std::optional<MacAddress> NeighbourTable::mac(const IpAddress& destination) const {
  const auto found = next_hop(destination);
  return found ? std::optional(found->mac) : std::nullopt;
}

std::string NeighbourTable::describe(const IpAddress& destination, const InterfaceName& name) const {
  if (const auto key = chosen(destination)) {
    return fmt::format("{} on {}", key->address.to_string(), name(key->interface_index));
  }
  return reason(destination, name);
}

std::string NeighbourTable::reason(const IpAddress& destination, const InterfaceName& name) const {
  const auto found = candidates(destination);
  if (!found.empty()) {
    const Key& key = found.front().key;
    return fmt::format("{} does not answer on {}", key.address.to_string(), name(key.interface_index));
  }
  const auto route = routes_.find(destination);
  if (route == routes_.end()) return "no port";
  switch (route->second.kind) {
    case Route::Kind::kUnknown: return "the route is not known yet";
    case Route::Kind::kNone: return "no route";
    case Route::Kind::kOwn: return "an address of this server";
    case Route::Kind::kRefused: return "the route refuses";
    case Route::Kind::kUnicast: break;
  }
  if (route->second.hops.empty()) return "every way of the route is down";
  return fmt::format("the route leaves by {}, which is no port", name(route->second.hops.front().interface_index));
}

std::vector<NeighbourTable::Key> NeighbourTable::unconfirmed() const {
  std::vector<Key> keys;
  for (const auto& [key, entry] : entries_) {
    if (!entry.confirmed) keys.push_back(key);
  }
  return keys;
}

}  // namespace anypop::dataplane
