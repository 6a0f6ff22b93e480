// SPDX-License-Identifier: Apache-2.0
// The forwarding state as the control path holds it: configuration, told health and learned next hops together make the
// snapshot that the workers follow. Control thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include <absl/status/status.h>

#include "base/address.h"
#include "base/config.h"
#include "dataplane/published.h"
#include "dataplane_api/messages.h"
#include "l4lb/snapshot.h"

namespace anypop::dataplane {

// How long a change waits for the workers. A pass through their loop takes microseconds.
inline constexpr std::chrono::milliseconds kPublishWait{100};

class Forwarding {
 public:
  // All backends healthy; those with a `mac:` resolved. `source_mac` is the first port's, `mtu_bytes` the least of all.
  Forwarding(const PopConfig& config, MacAddress source_mac, unsigned mtu_bytes);

  // For the workers, `workers` of them. Call once, before the next two.
  Published<l4lb::Snapshot>& publish_to(unsigned workers);

  // What `find` says of each backend without a `mac:` of its own. Publishes if that is news.
  using FindMac = std::function<std::optional<MacAddress>(const IpAddress&)>;
  absl::Status set_next_hops(const FindMac& find);
  // InvalidArgument names the service or backend that is unknown, and nothing was changed. DeadlineExceeded and
  // ResourceExhausted: see Published::publish().
  absl::Status set_health(const dataplane_api::HealthUpdate& update);

  const l4lb::Snapshot& snapshot() const { return published_->current(); }
  const l4lb::BackendState& backend(std::size_t service, std::size_t index) const {
    return input_.backends[service][index];
  }

 private:
  absl::Status publish_if_changed(const l4lb::SnapshotInput& wanted);

  const PopConfig& config_;
  l4lb::SnapshotBuilder builder_;
  l4lb::SnapshotInput input_;
  std::unique_ptr<Published<l4lb::Snapshot>> published_;
};

}  // namespace anypop::dataplane
