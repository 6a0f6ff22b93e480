// SPDX-License-Identifier: Apache-2.0
// The immutable forwarding state: everything a worker needs to decide about a packet. Built by the control path,
// published to the workers as one pointer, never changed afterwards.
//
// New flows are spread over a service's backends by a Maglev table: Eisenbud et al., "Maglev: A Fast and Reliable
// Software Network Load Balancer", NSDI 2016, section 3.4; with weights, and built from names (maglev.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "base/address.h"
#include "base/config.h"

namespace anypop::l4lb {

inline constexpr unsigned kWholeWeight = 1000;
inline constexpr std::uint8_t kAllPorts = 255;

// What is known about a backend at run time, beside its configuration. A healthy backend of weight 0 is draining: it
// gets no new flows, unless no backend of the service has any weight.
struct BackendState {
  bool healthy = true;
  std::optional<MacAddress> next_hop_mac;   // nullopt: unresolved
  std::uint8_t next_hop_ports = kAllPorts;  // a bit for each port of the caller's that leads there
  unsigned weight_permille = kWholeWeight;  // of the configured weight, at most kWholeWeight. 0: draining
  friend bool operator==(const BackendState&, const BackendState&) = default;
};

struct SnapshotInput {
  std::vector<std::vector<BackendState>> backends;  // [service][backend], in the order of the configuration
  MacAddress source_mac;                            // of the port that sends to the backends
  std::uint32_t mtu_bytes = 1500;                   // of that port: the largest IP packet it takes
  std::uint64_t generation = 0;
  std::uint64_t now_ms = 0;  // of a clock that does not go back, and is the same one after save() and restore()
  // By service: no packet of it has been forwarded since the last build (or ever, before the first), so that a change
  // moves no flow that was not moved before. Empty: no service is idle.
  std::vector<bool> idle;
};

class Snapshot;

// Builds snapshots, and remembers between them what a change must not move: which backend owned each slot of a service
// before, for EngineConfig::flow_window_ms after the change (see slot_history.h). Every snapshot is taken to be in
// force from its making to the next one's. Keeps Maglev tables of late, so that neither a neighbour's new MAC nor a
// backend that comes back costs a rebuild. Control thread only.
class SnapshotBuilder {
 public:
  SnapshotBuilder(std::vector<ServiceConfig> services, std::array<std::uint8_t, 16> hash_key, EngineConfig engine = {});
  ~SnapshotBuilder();
  SnapshotBuilder(SnapshotBuilder&&) noexcept;
  SnapshotBuilder& operator=(SnapshotBuilder&&) noexcept;

  // A new configuration for the builds to come. Services and backends are known again by their names, so flows stay
  // with backends that stay. What moves them all the same: another hash_key; another `hash` of their service.
  void update_config(std::vector<ServiceConfig> services, std::array<std::uint8_t, 16> hash_key, EngineConfig engine);

  // The same for a builder that was made, and perhaps tried, for the new configuration: forgets what it remembers, and
  // goes on where `former` is. Its tables stay, so that the next build is quick.
  void continue_from(const SnapshotBuilder& former);

  // Cost: a Maglev table for each service whose members changed (services with the same ones share it), and a pass over
  // the slots while a window is open.
  std::shared_ptr<const Snapshot> build(const SnapshotInput& input);

  // When the next window closes: build and publish again then, and packets no longer pay for it. nullopt: none is open.
  std::optional<std::uint64_t> next_change_ms() const;

  // What a later process needs so that its first snapshot moves no flow either. restore() takes the place of what this
  // builder remembers; InvalidArgument says what is wrong with `bytes`, which may be anything, and changes nothing.
  // Services that the configuration does not have, or that hash in another way, are left out.
  std::string save() const;
  absl::Status restore(std::string_view bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Questions the control path asks of a snapshot. (What workers read is in snapshot_layout.h, for the engine only.)
std::uint64_t generation(const Snapshot& snapshot);
// Which of the hash's implementations this processor runs: "vaes", "aes-ni" or "portable". All give the same values.
std::string_view hash_engine();
// Maglev slots that `backend` of `service` owns.
std::size_t slots(const Snapshot& snapshot, std::size_t service, std::size_t backend);
// BackendState::next_hop_ports, as the snapshot was built with it. A worker's question too.
std::uint8_t next_hop_ports(const Snapshot& snapshot, std::uint16_t service, std::uint16_t backend);
// Slots of `service` whose flows are remembered because of a change.
std::size_t open_windows(const Snapshot& snapshot, std::size_t service);

}  // namespace anypop::l4lb
