// SPDX-License-Identifier: Apache-2.0
// What a Snapshot is made of: small arrays that workers read in this order, one cache line in each.
//   service table → ServiceEntry → its Maglev slot → the backend's Adjacency
// and, for packets whose flows may be remembered, ServiceTracking → the slot's previous owner.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "adjacency.h"
#include "flow_hash.h"
#include "l4lb/snapshot.h"
#include "probe_path.h"
#include "quic_routes.h"
#include "service_table.h"
#include "slot_history.h"

namespace anypop::l4lb {

// Shared by every service and snapshot with the same members.
struct MaglevTable {
  std::vector<std::uint16_t> slots;  // backend within the service
  std::vector<std::uint32_t> owned;  // slots of each backend within the service
};

struct alignas(32) ServiceEntry {
  const std::uint16_t* slots = nullptr;  // nullptr: no healthy backend
  std::uint32_t slot_count = 0;
  std::uint32_t first_backend = 0;    // of its backends among those of all services
  std::uint32_t first_adjacency = 0;  // of theirs in Snapshot::adjacency_of
};
static_assert(sizeof(ServiceEntry) == 32);

// How the flows of a service are remembered.
struct ServiceTracking {
  std::uint64_t salt = 0;                   // for the keys of its flows, so that records of other services do not match
  const std::uint16_t* previous = nullptr;  // by slot of the history; nullptr: no window is open
  std::uint32_t history_slots = 0;
  std::uint32_t first_id = 0;  // in Snapshot::backend_of_id
  std::uint16_t id_count = 0;
  std::uint16_t idle = 0;  // FlowClock units
  Track track = Track::kNever;
  bool eager = false;  // most of its flows are looked up: always, or most slots have a window
};
static_assert(sizeof(ServiceTracking) == 32);

inline constexpr std::uint8_t kWholeFlow = 255;

class Snapshot {
 public:
  template <class F>
  const ServiceTable<F>& services_of() const {
    if constexpr (F::kFamily == Family::kV4) return services_v4;
    if constexpr (F::kFamily == Family::kV6) return services_v6;
  }
  // Has a service of this VIP a healthy backend? Precondition: services_of<F>().has_vip(vip).
  template <class F>
  bool serves(const typename F::Address& vip) const {
    const auto& serving = F::kFamily == Family::kV4 ? serving_v4 : serving_v6;
    return serving[services_of<F>().vip_index(vip)];
  }

  FlowHash hash;
  ServiceTable<V4> services_v4;
  ServiceTable<V6> services_v6;
  std::vector<ServiceEntry> services;  // in the order of the configuration
  // How much of the source's address a service hashes, in bits, and nothing else; or kWholeFlow.
  std::vector<std::uint8_t> source_bits;
  bool hashes_sources = false;   // does any service? If not, nobody looks there
  std::vector<QuicRoutes> quic;  // by service; empty if none has any
  // The adjacencies of a service's backends, as places in `adjacencies`. Backends that are reached alike share theirs,
  // and services whose backends all are share that list, so that a pool of a few servers stays in the cache whatever
  // the number of its services.
  std::vector<std::uint32_t> adjacency_of;
  std::vector<Adjacency> adjacencies;
  std::vector<std::uint8_t> next_hop_ports;  // by backend, service by service
  // What a record's backend id means: the living backend within the service, or kNoBackend. Ids are the service's own,
  // and stay with a name through changes of the configuration.
  std::uint16_t backend_of(const ServiceTracking& service, std::uint16_t id) const {
    return id < service.id_count ? backend_of_id.data()[std::size_t{service.first_id} + id] : kNoBackend;
  }
  static constexpr std::uint16_t kNoBackend = 0xffff;

  std::vector<ServiceTracking> tracking;     // by service
  std::vector<std::uint16_t> backend_of_id;  // service by service
  std::vector<std::uint16_t> id_of_backend;  // by backend, service by service
  bool tracks = false;                       // must packets be looked up even if there is no record yet?
  bool always = false;                       // is every one, by nothing but its record and its whole flow's slot?
  EngineConfig engine;
  std::shared_ptr<const ProbePath> probes;  // never nullptr
  std::vector<bool> serving_v4;             // by VIP, as ServiceTable::vip_index() numbers them
  std::vector<bool> serving_v6;
  std::uint64_t generation = 0;
  std::vector<std::shared_ptr<const MaglevTable>> tables;     // by service; keeps ServiceEntry::slots alive
  std::vector<std::shared_ptr<const SlotHistory>> histories;  // by service; keeps ServiceTracking::previous alive
};

}  // namespace anypop::l4lb
