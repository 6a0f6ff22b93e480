// SPDX-License-Identifier: Apache-2.0
// The forwarding state as the control path holds it: configuration, told health and learned next hops together make
// what the workers follow. Control thread only, except prepare().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "base/address.h"
#include "base/config.h"
#include "base/config_diff.h"
#include "dataplane/capture.h"
#include "dataplane/counter_ledger.h"
#include "dataplane/legacy.h"
#include "dataplane/published.h"
#include "dataplane_api/messages.h"
#include "l4lb/snapshot.h"

namespace anypop::dataplane {

// How long a change waits for the workers. A pass through their loop takes microseconds.
inline constexpr std::chrono::milliseconds kPublishWait{100};

// What the workers follow: one pointer to both, so that no packet is counted by another configuration's numbers.
struct WorkerView {
  std::shared_ptr<const l4lb::Snapshot> snapshot;
  CounterSet counters;               // [worker]
  std::shared_ptr<Capture> capture;  // nullptr: nobody looks
};

// What is known at run time, in the numbers of one configuration.
struct Known {
  l4lb::SnapshotInput input;
  bool monitored = false;  // the monitor has spoken
};

// A new configuration on its way. begin_reload() → prepare(), on any thread → finish_reload().
struct Reload {
  std::shared_ptr<const PopConfig> before;
  Known known;
  std::shared_ptr<const l4lb::Snapshot> snapshot_before;
  std::shared_ptr<const PopConfig> after;
  ConfigDiff diff;
  std::optional<l4lb::SnapshotBuilder> builder;
};

class Forwarding {
 public:
  // All backends healthy; those with a `mac:` resolved. `source_mac` is the first port's, `mtu_bytes` the least of all.
  Forwarding(PopConfig config, MacAddress source_mac, unsigned mtu_bytes, unsigned workers);

  const PopConfig& config() const { return *config_; }
  Published<WorkerView>& published() { return published_; }
  const CounterLedger& counters() const { return counters_; }
  const l4lb::Snapshot& snapshot() const { return *published_.current().snapshot; }
  const l4lb::BackendState& backend(std::size_t service, std::size_t index) const {
    return known_.input.backends[service][index];
  }

  // Goes on where a former process was: health by name, the slots' history. A backend that it did not have waits for
  // the monitor's word, as after a reload. InvalidArgument: the slots cannot be used, and nothing has changed. Before
  // the workers run.
  absl::Status inherit(const Legacy& legacy);
  // What the next process needs, now and, from now on, before each change of it is in force.
  void keep_with(std::function<void(const Legacy&)> keep);

  // What `find` says of each backend without a `mac:` of its own. Publishes if that is news.
  struct NextHop {
    MacAddress mac;
    std::uint8_t ports = l4lb::kAllPorts;  // a bit for each that leads there, by its index in the configuration
  };
  using FindNextHop = std::function<std::optional<NextHop>(const IpAddress&)>;
  absl::Status set_next_hops(const FindNextHop& find);
  // What the update does not name keeps its health. `unknown` gets "service/backend" of what this configuration does
  // not have; the rest takes effect all the same. DeadlineExceeded and ResourceExhausted: see Published::publish().
  absl::Status set_health(const dataplane_api::HealthUpdate& update, std::vector<std::string>& unknown);

  // What looks at the packets from now on; nullptr: nothing. Errors as in set_health().
  absl::Status set_capture(std::shared_ptr<Capture> capture);
  // After a change the workers remember flows for EngineConfig::flow_window_ms; then a snapshot must say that it is
  // over. When the next one is due (nullopt: none), and its publishing, if it is due.
  std::optional<std::chrono::milliseconds> until_next_change() const;
  absl::Status close_windows();

  // The state to start a reload from; `after` and what follows is still empty.
  Reload begin_reload() const;
  // Puts it in force, with what is known now. A backend keeps its health by name; a new one counts as unhealthy until
  // the monitor has spoken of it, if there is a monitor. Errors as in set_health(). Precondition: nothing refused.
  absl::Status finish_reload(Reload reload, const FindNextHop& find);

 private:
  absl::Status publish_if_changed(const l4lb::SnapshotInput& wanted);
  std::shared_ptr<const WorkerView> view(std::shared_ptr<const l4lb::Snapshot> snapshot) const;
  enum class Kept : std::uint8_t { kAnew, kAsItIs };
  absl::Status publish(l4lb::SnapshotInput next, Kept kept = Kept::kAnew);
  std::shared_ptr<const l4lb::Snapshot> build(l4lb::SnapshotInput& input);
  // `input` will be in force, with the snapshot that was just built.
  void keep(const l4lb::SnapshotInput& input) const;

  std::shared_ptr<const PopConfig> config_;
  l4lb::SnapshotBuilder builder_;
  Known known_;
  CounterLedger counters_;
  std::vector<std::uint64_t> packets_at_build_;  // of each service; empty: unknown
  std::shared_ptr<Capture> capture_;
  std::function<void(const Legacy&)> keep_;  // may be empty
  Published<WorkerView> published_;
};

// The expensive part of a reload to `after`: compares, and builds the tables in advance. Any thread.
void prepare(Reload& reload, PopConfig after);

}  // namespace anypop::dataplane
