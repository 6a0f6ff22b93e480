// SPDX-License-Identifier: Apache-2.0
#include "l4lb/snapshot.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <tuple>
#include <utility>

#include "maglev.h"
#include "snapshot_layout.h"

namespace anypop::l4lb {
namespace {

struct TableKey {
  std::uint32_t size = 0;
  std::vector<MaglevMember> members;
  friend bool operator<(const TableKey& a, const TableKey& b) {
    return std::tie(a.size, a.members) < std::tie(b.size, b.members);
  }
};

using Tables = std::map<TableKey, std::shared_ptr<const MaglevTable>>;

// Who gets new flows.
std::vector<MaglevMember> members_of(const ServiceConfig& service, const std::vector<BackendState>& states) {
  const bool all_drain = std::ranges::none_of(
      states, [](const BackendState& state) { return state.healthy && state.weight_permille > 0; });
  std::vector<MaglevMember> members;
  for (std::size_t i = 0; i < service.backends.size(); ++i) {
    const unsigned permille = all_drain ? kWholeWeight : states[i].weight_permille;
    if (!states[i].healthy || permille == 0) continue;
    members.push_back({.name = service.backends[i].name,
                       .weight = service.backends[i].weight * permille,
                       .backend = static_cast<std::uint16_t>(i)});
  }
  return members;
}

std::shared_ptr<const MaglevTable> make_table(const TableKey& key) {
  auto table = std::make_shared<MaglevTable>();
  table->slots = build_maglev(key.members, key.size);
  table->owned.resize(std::size_t{key.members.back().backend} + 1);
  for (const std::uint16_t backend : table->slots) ++table->owned[backend];
  return table;
}

template <class F>
ServiceTable<F> make_service_table(const std::vector<ServiceConfig>& services) {
  std::vector<typename ServiceTable<F>::Item> items;
  for (std::size_t i = 0; i < services.size(); ++i) {
    if (services[i].vip.family() != F::kFamily) continue;
    items.push_back({.key = {.vip = to_wire<F>(services[i].vip),
                             .port = wire::be16(services[i].port),
                             .protocol = static_cast<wire::IpProtocol>(services[i].protocol)},
                     .service = static_cast<std::uint16_t>(i),
                     .last_port = services[i].last_port,
                     .prefix_bits = services[i].vip_prefix().length_bits()});
  }
  return ServiceTable<F>(items);
}

BackendEntry make_backend(std::size_t index, bool tunneled, const BackendState& state, const MacAddress& source_mac) {
  BackendEntry entry;
  entry.backend = static_cast<std::uint16_t>(index);
  entry.tunneled = tunneled;
  if (!state.next_hop_mac) return entry;
  entry.verdict = Verdict::kForward;
  std::ranges::copy(state.next_hop_mac->bytes(), entry.macs.begin());
  std::ranges::copy(source_mac.bytes(), entry.macs.begin() + 6);
  return entry;
}

void note_hash(const ServiceConfig& service, Snapshot& snapshot) {
  const bool v4 = service.vip.family() == Family::kV4;
  unsigned bits = kWholeFlow;
  if (service.hash == HashBy::kSource) bits = v4 ? 32 : 128;
  if (service.hash == HashBy::kSourceNetwork) {
    bits = service.network_bits != 0 ? service.network_bits : (v4 ? 24U : 56U);
  }
  snapshot.source_bits.push_back(static_cast<std::uint8_t>(bits));
  snapshot.hashes_sources = snapshot.hashes_sources || bits != kWholeFlow;
}

void mark_serving(const ServiceConfig& service, Snapshot& snapshot) {
  if (service.vip.family() == Family::kV4) {
    snapshot.serving_v4[snapshot.services_v4.vip_index(to_wire<V4>(service.vip), service.vip_prefix().length_bits())] =
        true;
  } else {
    snapshot.serving_v6[snapshot.services_v6.vip_index(to_wire<V6>(service.vip), service.vip_prefix().length_bits())] =
        true;
  }
}

}  // namespace

struct SnapshotBuilder::Impl {
  std::vector<ServiceConfig> services;
  // Neither changes while the configuration stands, so each is made once and copied.
  FlowHash hash;
  ServiceTable<V4> services_v4;
  ServiceTable<V6> services_v6;
  EngineConfig engine;
  Tables tables;  // of the newest snapshot

  std::shared_ptr<const MaglevTable> table_for(const ServiceConfig& service, const std::vector<BackendState>& states,
                                               Tables& used);
};

SnapshotBuilder::SnapshotBuilder(std::vector<ServiceConfig> services, std::array<std::uint8_t, 16> hash_key,
                                 EngineConfig engine)
    : impl_(new Impl{.services = {},
                     .hash = FlowHash(hash_key),
                     .services_v4 = make_service_table<V4>(services),
                     .services_v6 = make_service_table<V6>(services),
                     .engine = engine,
                     .tables = {}}) {
  impl_->services = std::move(services);
}
SnapshotBuilder::~SnapshotBuilder() = default;
SnapshotBuilder::SnapshotBuilder(SnapshotBuilder&&) noexcept = default;
SnapshotBuilder& SnapshotBuilder::operator=(SnapshotBuilder&&) noexcept = default;

// A backend whose next hop is unresolved keeps its slots: flows must not move because a neighbour entry expired.
std::shared_ptr<const MaglevTable> SnapshotBuilder::Impl::table_for(const ServiceConfig& service,
                                                                    const std::vector<BackendState>& states,
                                                                    Tables& used) {
  assert(states.size() == service.backends.size());
  TableKey key{.size = service.table_size, .members = members_of(service, states)};
  if (key.members.empty()) return nullptr;
  if (const auto known = used.find(key); known != used.end()) return known->second;
  const auto before = tables.find(key);
  auto table = before != tables.end() ? before->second : make_table(key);
  return used.emplace(std::move(key), std::move(table)).first->second;
}

std::shared_ptr<const Snapshot> SnapshotBuilder::build(const SnapshotInput& input) {
  assert(input.backends.size() == impl_->services.size());
  Tables used;
  std::shared_ptr<Snapshot> snapshot(new Snapshot{.hash = impl_->hash,
                                                  .services_v4 = impl_->services_v4,
                                                  .services_v6 = impl_->services_v6,
                                                  .services = {},
                                                  .source_bits = {},
                                                  .quic = {},
                                                  .backends = {},
                                                  .tunnels = {},
                                                  .engine = impl_->engine,
                                                  .serving_v4 = std::vector<bool>(impl_->services_v4.vips()),
                                                  .serving_v6 = std::vector<bool>(impl_->services_v6.vips()),
                                                  .generation = input.generation,
                                                  .tables = {}});
  if (std::ranges::any_of(impl_->services, [](const ServiceConfig& service) { return !service.quic.empty(); })) {
    for (std::size_t i = 0; i < impl_->services.size(); ++i) {
      snapshot->quic.emplace_back(impl_->services[i], input.backends[i]);
    }
  }
  for (std::size_t i = 0; i < impl_->services.size(); ++i) {
    auto table = impl_->table_for(impl_->services[i], input.backends[i], used);
    note_hash(impl_->services[i], *snapshot);
    ServiceEntry entry{.first_backend = static_cast<std::uint32_t>(snapshot->backends.size())};
    if (table != nullptr) {
      mark_serving(impl_->services[i], *snapshot);
      entry.slots = table->slots.data();
      entry.slot_count = static_cast<std::uint32_t>(table->slots.size());
    }
    snapshot->services.push_back(entry);
    snapshot->tables.push_back(std::move(table));
    const ServiceConfig& service = impl_->services[i];
    const bool tunneled = service.forwarding != Forwarding::kL2;
    for (std::size_t j = 0; j < input.backends[i].size(); ++j) {
      snapshot->backends.push_back(make_backend(j, tunneled, input.backends[i][j], input.source_mac));
      snapshot->tunnels.push_back(tunneled ? make_tunnel(service, service.backends[j].address, input.mtu_bytes)
                                           : Tunnel{});
    }
  }
  impl_->tables = std::move(used);
  return snapshot;
}

std::uint64_t generation(const Snapshot& snapshot) { return snapshot.generation; }

std::size_t slots(const Snapshot& snapshot, std::size_t service, std::size_t backend) {
  const MaglevTable* table = snapshot.tables[service].get();
  return table == nullptr || backend >= table->owned.size() ? 0 : table->owned[backend];
}

}  // namespace anypop::l4lb
