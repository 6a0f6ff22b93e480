// SPDX-License-Identifier: Apache-2.0
#include "l4lb/snapshot.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <tuple>
#include <utility>

#include <absl/container/flat_hash_map.h>

#include "maglev.h"
#include "service_memory.h"
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

// Tables of late. A backend that flaps, or a ramp that is taken back, needs the same ones again.
class TableCache {
 public:
  std::shared_ptr<const MaglevTable> get(TableKey key) {
    if (key.members.empty()) return nullptr;
    const auto [at, added] = tables_.try_emplace(std::move(key));
    if (added) at->second.table = make_table(at->first);
    at->second.used_by = build_;
    return at->second.table;
  }

  // Ends a build: of the tables that it did not use, keeps those that were used last.
  void end_build() {
    std::vector<std::uint64_t> idle;
    for (const auto& [key, entry] : tables_) {
      if (entry.used_by != build_) idle.push_back(entry.used_by);
    }
    if (idle.size() > kIdleMax) {
      std::ranges::nth_element(idle, idle.end() - kIdleMax);
      const std::uint64_t oldest_kept = *(idle.end() - kIdleMax);
      std::erase_if(tables_, [&](const auto& table) { return table.second.used_by < oldest_kept; });
    }
    ++build_;
  }

 private:
  static constexpr std::ptrdiff_t kIdleMax = 16;
  struct Entry {
    std::shared_ptr<const MaglevTable> table;
    std::uint64_t used_by = 0;
  };
  std::map<TableKey, Entry> tables_;
  std::uint64_t build_ = 1;
};

std::vector<bool> living(const std::vector<BackendState>& states) {
  std::vector<bool> lives;
  for (const BackendState& state : states) lives.push_back(state.healthy);
  return lives;
}

// FNV-1a. Distinct for distinct names, as good as certain; nobody outside chooses them.
std::uint64_t hash_text(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

// For the keys of a service's records. The first epoch's is the name's alone.
std::uint64_t salt_of(std::string_view service, std::uint32_t epoch) {
  return (hash_text(service) ^ epoch * 0x9e3779b97f4a7c15ULL) >> 16U;
}

// Notes who a record may name.
void add_ids(const ServiceMemory& memory, ServiceTracking& tracking, Snapshot& snapshot) {
  std::uint16_t count = 0;
  for (const std::string& name : memory.backends) {
    count = std::max(count, static_cast<std::uint16_t>(memory.ids.at(name) + 1));
  }
  tracking.first_id = static_cast<std::uint32_t>(snapshot.backend_of_id.size());
  tracking.id_count = count;
  snapshot.backend_of_id.resize(snapshot.backend_of_id.size() + count, Snapshot::kNoBackend);
  for (std::size_t i = 0; i < memory.backends.size(); ++i) {
    const std::uint16_t id = memory.ids.at(memory.backends[i]);
    snapshot.id_of_backend.push_back(id);
    if (memory.now.lives[i]) snapshot.backend_of_id[tracking.first_id + id] = static_cast<std::uint16_t>(i);
  }
}

std::size_t open_windows(const SlotHistory* history) {
  if (history == nullptr) return 0;
  return history->previous.size() - static_cast<std::size_t>(std::ranges::count(history->previous, kNoWindow));
}

void add_tracking(const ServiceConfig& service, const EngineConfig& engine, const ServiceMemory& memory,
                  Snapshot& snapshot) {
  ServiceTracking tracking{.salt = salt_of(service.name, memory.epoch), .track = service.track};
  tracking.idle = FlowClock::span(service.protocol == Protocol::kTcp ? engine.tcp_idle_ms : engine.udp_idle_ms);
  add_ids(memory, tracking, snapshot);
  if (memory.now.history != nullptr) {
    tracking.previous = memory.now.history->previous.data();
    tracking.history_slots = static_cast<std::uint32_t>(memory.now.history->previous.size());
  }
  tracking.eager =
      service.track == Track::kAlways || 2 * open_windows(memory.now.history.get()) > tracking.history_slots;
  snapshot.tracks = snapshot.tracks || memory.now.history != nullptr || service.track == Track::kAlways;
  snapshot.tracking.push_back(tracking);
  snapshot.histories.push_back(memory.now.history);
}

// Snapshot::always.
bool always(const Snapshot& snapshot) {
  const auto by_record_or_slot = [](const ServiceTracking& service) {
    return service.track == Track::kAlways && service.previous == nullptr;
  };
  return std::ranges::all_of(snapshot.tracking, by_record_or_slot) && snapshot.quic.empty() && !snapshot.hashes_sources;
}

// Where each adjacency of the snapshot is, and each list of them.
struct AdjacencyPlaces {
  absl::flat_hash_map<Adjacency, std::uint32_t> of_one;
  absl::flat_hash_map<std::vector<std::uint32_t>, std::uint32_t> of_list;
};

void add_backends(const ServiceConfig& service, const std::vector<BackendState>& states, const SnapshotInput& input,
                  AdjacencyPlaces& places, Snapshot& snapshot) {
  std::vector<std::uint32_t> list;
  for (std::size_t i = 0; i < states.size(); ++i) {
    const Adjacency adjacency =
        make_adjacency(service, service.backends[i].address, states[i].next_hop_mac, input.source_mac, input.mtu_bytes);
    const auto [place, added] =
        places.of_one.try_emplace(adjacency, static_cast<std::uint32_t>(snapshot.adjacencies.size()));
    if (added) snapshot.adjacencies.push_back(adjacency);
    list.push_back(place->second);
    snapshot.next_hop_ports.push_back(states[i].next_hop_ports);
  }
  const auto [place, added] =
      places.of_list.try_emplace(list, static_cast<std::uint32_t>(snapshot.adjacency_of.size()));
  if (added) snapshot.adjacency_of.insert(snapshot.adjacency_of.end(), list.begin(), list.end());
  snapshot.services.back().first_adjacency = place->second;
}

std::uint32_t window_units(unsigned window_ms) { return (window_ms + 1023) / 1024 + 1; }

}  // namespace

struct SnapshotBuilder::Impl {
  std::vector<ServiceConfig> services;
  std::array<std::uint8_t, 16> hash_key;
  // None of these changes while the configuration stands, so each is made once and copied.
  FlowHash hash;
  ServiceTable<V4> services_v4;
  ServiceTable<V6> services_v6;
  EngineConfig engine;
  std::shared_ptr<const ProbePath> probes;
  TableCache tables;
  ServiceMemories memories;

  std::shared_ptr<Snapshot> begin(const SnapshotInput& input) const;
  void add_service(std::size_t index, const SnapshotInput& input, HistoryKeeper& keeper, AdjacencyPlaces& places,
                   Snapshot& snapshot);
  // Records and slots mean something only to those with the same key.
  std::uint64_t key_check() const {
    return hash_text({reinterpret_cast<const char*>(hash_key.data()), hash_key.size()});
  }
};

SnapshotBuilder::SnapshotBuilder(std::vector<ServiceConfig> services, std::array<std::uint8_t, 16> hash_key,
                                 EngineConfig engine)
    : impl_(new Impl{.services = {},
                     .hash_key = hash_key,
                     .hash = FlowHash(hash_key),
                     .services_v4 = {},
                     .services_v6 = {},
                     .engine = engine,
                     .probes = nullptr,
                     .tables = {},
                     .memories = {}}) {
  update_config(std::move(services), hash_key, engine);
}
SnapshotBuilder::~SnapshotBuilder() = default;
SnapshotBuilder::SnapshotBuilder(SnapshotBuilder&&) noexcept = default;
SnapshotBuilder& SnapshotBuilder::operator=(SnapshotBuilder&&) noexcept = default;

void SnapshotBuilder::update_config(std::vector<ServiceConfig> services, std::array<std::uint8_t, 16> hash_key,
                                    EngineConfig engine) {
  if (hash_key != impl_->hash_key) impl_->memories.services.clear();
  impl_->memories = carry_over(std::move(impl_->memories), services);
  impl_->hash_key = hash_key;
  impl_->hash = FlowHash(hash_key);
  impl_->services_v4 = make_service_table<V4>(services);
  impl_->services_v6 = make_service_table<V6>(services);
  impl_->probes = std::make_shared<const ProbePath>(engine.probe_sources, services);
  impl_->engine = std::move(engine);
  impl_->services = std::move(services);
}

void SnapshotBuilder::continue_from(const SnapshotBuilder& former) {
  impl_->memories = former.impl_->hash_key == impl_->hash_key ? former.impl_->memories : ServiceMemories{};
  impl_->memories = carry_over(std::move(impl_->memories), impl_->services);
}

std::shared_ptr<Snapshot> SnapshotBuilder::Impl::begin(const SnapshotInput& input) const {
  return std::shared_ptr<Snapshot>(new Snapshot{.hash = hash,
                                                .services_v4 = services_v4,
                                                .services_v6 = services_v6,
                                                .services = {},
                                                .source_bits = {},
                                                .quic = {},
                                                .adjacency_of = {},
                                                .adjacencies = {},
                                                .next_hop_ports = {},
                                                .tracking = {},
                                                .backend_of_id = {},
                                                .id_of_backend = {},
                                                .engine = engine,
                                                .probes = probes,
                                                .serving_v4 = std::vector<bool>(services_v4.vips()),
                                                .serving_v6 = std::vector<bool>(services_v6.vips()),
                                                .generation = input.generation,
                                                .tables = {},
                                                .histories = {}});
}

// A backend whose next hop is unresolved keeps its slots: flows must not move because a neighbour entry expired.
void SnapshotBuilder::Impl::add_service(std::size_t index, const SnapshotInput& input, HistoryKeeper& keeper,
                                        AdjacencyPlaces& places, Snapshot& snapshot) {
  const ServiceConfig& service = services[index];
  const std::vector<BackendState>& states = input.backends[index];
  assert(states.size() == service.backends.size());
  auto table = tables.get({.size = service.table_size, .members = members_of(service, states)});
  ServiceMemory& memory = memories.services.at(service.name);
  const bool idle = index < input.idle.size() && input.idle[index];
  keeper.change(table, living(states), service.track, idle, memory);

  ServiceEntry entry{.first_backend = static_cast<std::uint32_t>(snapshot.next_hop_ports.size())};
  if (table != nullptr) {
    mark_serving(service, snapshot);
    entry.slots = table->slots.data();
    entry.slot_count = static_cast<std::uint32_t>(table->slots.size());
  }
  snapshot.services.push_back(entry);
  snapshot.tables.push_back(std::move(table));
  note_hash(service, snapshot);
  add_tracking(service, engine, memory, snapshot);
  add_backends(service, states, input, places, snapshot);
}

std::shared_ptr<const Snapshot> SnapshotBuilder::build(const SnapshotInput& input) {
  assert(input.backends.size() == impl_->services.size());
  std::shared_ptr<Snapshot> snapshot = impl_->begin(input);
  if (std::ranges::any_of(impl_->services, [](const ServiceConfig& service) { return !service.quic.empty(); })) {
    for (std::size_t i = 0; i < impl_->services.size(); ++i) {
      snapshot->quic.emplace_back(impl_->services[i], input.backends[i]);
    }
  }
  HistoryKeeper keeper(static_cast<std::uint32_t>(input.now_ms >> 10U), window_units(impl_->engine.flow_window_ms));
  AdjacencyPlaces places;
  for (std::size_t i = 0; i < impl_->services.size(); ++i) impl_->add_service(i, input, keeper, places, *snapshot);
  impl_->tables.end_build();
  snapshot->always = always(*snapshot);
  return snapshot;
}

std::optional<std::uint64_t> SnapshotBuilder::next_change_ms() const {
  std::optional<std::uint64_t> next;
  for (const auto& [name, memory] : impl_->memories.services) {
    if (memory.now.history == nullptr) continue;
    const std::uint64_t end = std::uint64_t{memory.now.history->next_end} << 10U;
    next = std::min(next.value_or(end), end);
  }
  return next;
}

std::string SnapshotBuilder::save() const { return l4lb::save(impl_->memories, impl_->key_check()); }

absl::Status SnapshotBuilder::restore(std::string_view bytes) {
  ServiceMemories memories;
  if (absl::Status status = l4lb::restore(bytes, impl_->key_check(), memories); !status.ok()) return status;
  impl_->memories = carry_over(std::move(memories), impl_->services);
  return absl::OkStatus();
}

std::uint64_t generation(const Snapshot& snapshot) { return snapshot.generation; }

std::string_view hash_engine() { return aes_engine_name(best_aes_engine()); }

std::size_t slots(const Snapshot& snapshot, std::size_t service, std::size_t backend) {
  const MaglevTable* table = snapshot.tables[service].get();
  return table == nullptr || backend >= table->owned.size() ? 0 : table->owned[backend];
}

std::uint8_t next_hop_ports(const Snapshot& snapshot, std::uint16_t service, std::uint16_t backend) {
  return snapshot.next_hop_ports[snapshot.services[service].first_backend + backend];
}

std::size_t open_windows(const Snapshot& snapshot, std::size_t service) {
  return open_windows(snapshot.histories[service].get());
}

}  // namespace anypop::l4lb
