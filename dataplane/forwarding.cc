// SPDX-License-Identifier: Apache-2.0
#include "dataplane/forwarding.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "l4lb/snapshot_diff.h"

namespace anypop::dataplane {
namespace {

// Goes on across restarts of the process, as the history of the slots needs it.
std::uint64_t steady_ms() {
  const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since_boot).count());
}

constexpr std::size_t kAbsent = SIZE_MAX;

template <typename T>
std::size_t index_of(const std::vector<T>& things, std::string_view name) {
  const auto at = std::find_if(things.begin(), things.end(), [&](const T& thing) { return thing.name == name; });
  return at == things.end() ? kAbsent : static_cast<std::size_t>(at - things.begin());
}

Known known_at_start(const PopConfig& config, MacAddress source_mac, unsigned mtu_bytes) {
  Known known;
  known.input.source_mac = source_mac;
  known.input.mtu_bytes = mtu_bytes;
  known.input.generation = 1;
  known.input.now_ms = steady_ms();
  for (const ServiceConfig& service : config.services) {
    auto& states = known.input.backends.emplace_back();
    for (const BackendConfig& backend : service.backends) states.push_back({.next_hop_mac = backend.mac});
  }
  return known;
}

l4lb::BackendState carry_over(const PopConfig& before, const Known& known, const ServiceConfig& service,
                              const BackendConfig& backend) {
  l4lb::BackendState state{.healthy = !known.monitored, .next_hop_mac = backend.mac};
  const std::size_t s = index_of(before.services, service.name);
  if (s == kAbsent) return state;
  const std::size_t b = index_of(before.services[s].backends, backend.name);
  if (b == kAbsent) return state;
  state = known.input.backends[s][b];
  // What was learned is about an address, what was configured is configured no more.
  const BackendConfig& old = before.services[s].backends[b];
  if (backend.mac || old.mac || old.address != backend.address) state.next_hop_mac = backend.mac;
  return state;
}

// What is known, in the numbers of another configuration.
l4lb::SnapshotInput carry_over(const PopConfig& before, const Known& known, const PopConfig& after) {
  l4lb::SnapshotInput input = known.input;
  input.backends.clear();
  for (const ServiceConfig& service : after.services) {
    auto& states = input.backends.emplace_back();
    for (const BackendConfig& backend : service.backends) {
      states.push_back(carry_over(before, known, service, backend));
    }
  }
  return input;
}

// A backend that a former process had goes on as it was there.
l4lb::SnapshotInput inherited(const PopConfig& config, const Legacy& legacy, l4lb::SnapshotInput input) {
  for (auto& states : input.backends) {
    for (l4lb::BackendState& state : states) state.healthy = !legacy.monitored;
  }
  for (const dataplane_api::BackendHealth& told : legacy.health.backends) {
    const std::size_t s = index_of(config.services, told.service);
    const std::size_t b = s == kAbsent ? kAbsent : index_of(config.services[s].backends, told.backend);
    if (b == kAbsent) continue;
    input.backends[s][b].healthy = told.healthy;
    input.backends[s][b].weight_permille =
        static_cast<unsigned>(std::min<std::uint64_t>(told.weight_permille, l4lb::kWholeWeight));
  }
  return input;
}

void resolve(const PopConfig& config, const Forwarding::FindNextHop& find, l4lb::SnapshotInput& input) {
  for (std::size_t s = 0; s < config.services.size(); ++s) {
    const auto& backends = config.services[s].backends;
    for (std::size_t b = 0; b < backends.size(); ++b) {
      if (backends[b].mac) continue;
      l4lb::BackendState& state = input.backends[s][b];
      const auto found = find(backends[b].address);
      state.next_hop_mac = found ? std::optional(found->mac) : std::nullopt;
      state.next_hop_ports = found ? found->ports : l4lb::kAllPorts;
    }
  }
}

}  // namespace

Forwarding::Forwarding(PopConfig config, MacAddress source_mac, unsigned mtu_bytes, unsigned workers)
    : config_(std::make_shared<const PopConfig>(std::move(config))),
      builder_(config_->services, config_->dataplane.hash_key, config_->dataplane.engine),
      known_(known_at_start(*config_, source_mac, mtu_bytes)),
      counters_(config_->services, workers),
      packets_at_build_(config_->services.size()),
      published_(workers, view(builder_.build(known_.input))) {}

std::shared_ptr<const WorkerView> Forwarding::view(std::shared_ptr<const l4lb::Snapshot> snapshot) const {
  return std::make_shared<const WorkerView>(WorkerView{std::move(snapshot), counters_.current(), capture_});
}

absl::Status Forwarding::set_capture(std::shared_ptr<Capture> capture) {
  capture_ = std::move(capture);
  return published_.publish(view(published_.current().snapshot), kPublishWait);
}

absl::Status Forwarding::inherit(const Legacy& legacy) {
  if (absl::Status status = builder_.restore(legacy.slots); !status.ok()) return status;
  known_.monitored = legacy.monitored;
  packets_at_build_.clear();
  return publish(inherited(*config_, legacy, known_.input));
}

void Forwarding::keep_with(std::function<void(const Legacy&)> keep) {
  keep_ = std::move(keep);
  this->keep(known_.input);
}

void Forwarding::keep(const l4lb::SnapshotInput& input) const {
  if (!keep_) return;
  Legacy legacy{.monitored = known_.monitored, .health = {}, .slots = builder_.save()};
  for (std::size_t s = 0; s < config_->services.size(); ++s) {
    const ServiceConfig& service = config_->services[s];
    for (std::size_t b = 0; b < service.backends.size(); ++b) {
      const l4lb::BackendState& state = input.backends[s][b];
      legacy.health.backends.push_back({service.name, service.backends[b].name, state.healthy, state.weight_permille});
    }
  }
  keep_(legacy);
}

absl::Status Forwarding::set_next_hops(const FindNextHop& find) {
  l4lb::SnapshotInput wanted = known_.input;
  resolve(*config_, find, wanted);
  // Nothing of it is kept: the next process asks the kernel too.
  return wanted.backends == known_.input.backends ? absl::OkStatus() : publish(wanted, Kept::kAsItIs);
}

absl::Status Forwarding::set_health(const dataplane_api::HealthUpdate& update, std::vector<std::string>& unknown) {
  l4lb::SnapshotInput wanted = known_.input;
  for (const dataplane_api::BackendHealth& told : update.backends) {
    const std::size_t s = index_of(config_->services, told.service);
    const std::size_t b = s == kAbsent ? kAbsent : index_of(config_->services[s].backends, told.backend);
    if (b == kAbsent) {
      unknown.push_back(told.service + "/" + told.backend);
      continue;
    }
    if (told.weight_permille > l4lb::kWholeWeight) {
      return invalid_argument("found weight_permille {} for backend '{}' of service '{}', expected 0 to {}",
                              told.weight_permille, escaped(told.backend), escaped(told.service), l4lb::kWholeWeight);
    }
    wanted.backends[s][b].healthy = told.healthy;
    wanted.backends[s][b].weight_permille = static_cast<unsigned>(told.weight_permille);
    known_.monitored = true;
  }
  return publish_if_changed(wanted);
}

absl::Status Forwarding::close_windows() {
  const std::optional<std::uint64_t> due = builder_.next_change_ms();
  return due && *due <= steady_ms() ? publish(known_.input) : absl::OkStatus();
}

std::optional<std::chrono::milliseconds> Forwarding::until_next_change() const {
  const std::optional<std::uint64_t> due = builder_.next_change_ms();
  if (!due) return std::nullopt;
  const std::uint64_t now = steady_ms();
  return std::chrono::milliseconds(*due > now ? *due - now : 0);
}

absl::Status Forwarding::publish_if_changed(const l4lb::SnapshotInput& wanted) {
  return wanted.backends == known_.input.backends ? absl::OkStatus() : publish(wanted);
}

// What a worker forwards between the look at its counters and the publishing goes by the former snapshot, and counts as
// gone by the next one: microseconds, and only of a service that had been idle.
std::shared_ptr<const l4lb::Snapshot> Forwarding::build(l4lb::SnapshotInput& input) {
  const std::vector<std::uint64_t> packets = counters_.packets_of_services();
  input.idle.clear();
  for (std::size_t s = 0; s < packets_at_build_.size(); ++s) input.idle.push_back(packets[s] == packets_at_build_[s]);
  input.now_ms = steady_ms();
  packets_at_build_ = packets;
  return builder_.build(input);
}

absl::Status Forwarding::publish(l4lb::SnapshotInput next, Kept kept) {
  ++next.generation;
  auto snapshot = build(next);
  if (kept == Kept::kAnew) keep(next);
  const absl::Status status = published_.publish(view(std::move(snapshot)), kPublishWait);
  // Late workers change nothing about what is in force.
  if (status.ok() || absl::IsDeadlineExceeded(status)) known_.input = std::move(next);
  return status;
}

Reload Forwarding::begin_reload() const {
  return {.before = config_,
          .known = known_,
          .snapshot_before = published_.current().snapshot,
          .after = nullptr,
          .diff = {},
          .builder = std::nullopt};
}

void prepare(Reload& reload, PopConfig after) {
  reload.after = std::make_shared<const PopConfig>(std::move(after));
  reload.diff = diff_configs(*reload.before, *reload.after);
  reload.builder.emplace(reload.after->services, reload.after->dataplane.hash_key, reload.after->dataplane.engine);
  const auto snapshot = reload.builder->build(carry_over(*reload.before, reload.known, *reload.after));
  l4lb::count_moved_slots({*reload.before, *reload.snapshot_before}, {*reload.after, *snapshot}, reload.diff);
}

absl::Status Forwarding::finish_reload(Reload reload, const FindNextHop& find) {
  if (published_.full()) return resource_exhausted("a worker hangs: nothing can be changed until it goes on");
  l4lb::SnapshotInput input = carry_over(*config_, known_, *reload.after);
  resolve(*reload.after, find, input);
  ++input.generation;
  reload.builder->continue_from(builder_);
  config_ = std::move(reload.after);
  builder_ = *std::move(reload.builder);
  known_.input = std::move(input);
  counters_.renew(config_->services);
  // Who still follows the old snapshot counts in the old counters: none of the services is taken for idle.
  packets_at_build_.clear();
  auto snapshot = build(known_.input);
  packets_at_build_.clear();
  keep(known_.input);
  return published_.publish(view(std::move(snapshot)), kPublishWait);
}

}  // namespace anypop::dataplane
