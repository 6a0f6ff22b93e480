// SPDX-License-Identifier: Apache-2.0
// The forwarding state of a configuration without a dataplane: health as told, next hops from `mac:` only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/config.h"
#include "l4lb/snapshot.h"

namespace anypop::replay {

struct OfflineOptions {
  std::uint32_t mtu_bytes = 1500;      // of the port
  std::optional<MacAddress> port_mac;  // nullopt: whatever a frame was sent to
  // A running dataplane learns MACs from the kernel. Here a backend without `mac:` gets one made of its address, so
  // that packets have somewhere to go; without stand-ins it is unresolved.
  bool stand_ins = true;
};

// The stand-in for a backend's MAC: 02:00 and the last four bytes of its address, so that it can be read off.
MacAddress stand_in(const IpAddress& address);

struct BackendRef {
  std::size_t service = 0;
  std::size_t backend = 0;
  friend bool operator==(const BackendRef&, const BackendRef&) = default;
};

// "web4/b1". InvalidArgument names what is unknown.
absl::StatusOr<BackendRef> find_backend(const PopConfig& config, std::string_view text);

class OfflineForwarding {
 public:
  // `config` must outlive it.
  OfflineForwarding(const PopConfig& config, const OfflineOptions& options);

  void set_healthy(BackendRef backend, bool healthy);  // in force with the next snapshot()
  // Builds what has changed. `now_ms` does not go back; windows of flow consistency open and close by it.
  const l4lb::Snapshot& snapshot(std::uint64_t now_ms = 0);
  const l4lb::BackendState& state(BackendRef backend) const {
    return input_.backends[backend.service][backend.backend];
  }
  // Those without a `mac:`.
  const std::vector<BackendRef>& without_mac() const { return without_mac_; }

 private:
  l4lb::SnapshotBuilder builder_;
  l4lb::SnapshotInput input_;
  std::vector<BackendRef> without_mac_;
  std::shared_ptr<const l4lb::Snapshot> snapshot_;
};

}  // namespace anypop::replay
