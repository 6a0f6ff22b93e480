// SPDX-License-Identifier: Apache-2.0
// The immutable forwarding state: everything a worker needs to decide about a packet. Built by the control path,
// published to the workers as one pointer, never changed afterwards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/config.h"

namespace anypop::l4lb {

inline constexpr unsigned kWholeWeight = 1000;

// What is known about a backend at run time, beside its configuration. A healthy backend of weight 0 is draining: it
// gets no new flows, unless no backend of the service has any weight.
struct BackendState {
  bool healthy = true;
  std::optional<MacAddress> next_hop_mac;   // nullopt: unresolved
  unsigned weight_permille = kWholeWeight;  // of the configured weight, at most kWholeWeight. 0: draining
  friend bool operator==(const BackendState&, const BackendState&) = default;
};

struct SnapshotInput {
  std::vector<std::vector<BackendState>> backends;  // [service][backend], in the order of the configuration
  MacAddress source_mac;                            // of the port that sends to the backends
  std::uint32_t mtu_bytes = 1500;                   // of that port: the largest IP packet it takes
  std::uint64_t generation = 0;
};

class Snapshot;

// Builds snapshots for one configuration. Keeps the Maglev table of a service whose members have not changed, so that a
// neighbour's new MAC costs no rebuild. Control thread only.
class SnapshotBuilder {
 public:
  SnapshotBuilder(std::vector<ServiceConfig> services, std::array<std::uint8_t, 16> hash_key, EngineConfig engine = {});
  ~SnapshotBuilder();
  SnapshotBuilder(SnapshotBuilder&&) noexcept;
  SnapshotBuilder& operator=(SnapshotBuilder&&) noexcept;

  // Cost: a hash table of the services, and a Maglev table for each service whose healthy members changed.
  std::shared_ptr<const Snapshot> build(const SnapshotInput& input);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Questions the control path asks of a snapshot. (What workers read is in snapshot_layout.h, for the engine only.)
std::uint64_t generation(const Snapshot& snapshot);
// Maglev slots that `backend` of `service` owns.
std::size_t slots(const Snapshot& snapshot, std::size_t service, std::size_t backend);

}  // namespace anypop::l4lb
