// SPDX-License-Identifier: Apache-2.0
#include "dataplane/forwarding.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace anypop::dataplane {

Forwarding::Forwarding(const PopConfig& config, MacAddress source_mac, unsigned mtu_bytes)
    : config_(config), builder_(config.services, config.dataplane.hash_key, config.dataplane.engine) {
  input_.source_mac = source_mac;
  input_.mtu_bytes = mtu_bytes;
  input_.generation = 1;
  for (const ServiceConfig& service : config.services) {
    auto& states = input_.backends.emplace_back();
    for (const BackendConfig& backend : service.backends) states.push_back({.next_hop_mac = backend.mac});
  }
}

Published<l4lb::Snapshot>& Forwarding::publish_to(unsigned workers) {
  published_ = std::make_unique<Published<l4lb::Snapshot>>(workers, builder_.build(input_));
  return *published_;
}

absl::Status Forwarding::set_next_hops(const FindMac& find) {
  l4lb::SnapshotInput wanted = input_;
  for (std::size_t s = 0; s < config_.services.size(); ++s) {
    const auto& backends = config_.services[s].backends;
    for (std::size_t b = 0; b < backends.size(); ++b) {
      if (!backends[b].mac) wanted.backends[s][b].next_hop_mac = find(backends[b].address);
    }
  }
  return publish_if_changed(wanted);
}

absl::Status Forwarding::set_health(const dataplane_api::HealthUpdate& update) {
  l4lb::SnapshotInput wanted = input_;
  for (const dataplane_api::BackendHealth& told : update.backends) {
    const auto& services = config_.services;
    const auto service =
        std::find_if(services.begin(), services.end(), [&](const auto& s) { return s.name == told.service; });
    if (service == services.end()) {
      return invalid_argument("unknown service '{}', expected one of the configuration", escaped(told.service));
    }
    const auto backend = std::find_if(service->backends.begin(), service->backends.end(),
                                      [&](const auto& b) { return b.name == told.backend; });
    if (backend == service->backends.end()) {
      return invalid_argument("unknown backend '{}' of service '{}', expected one of the configuration",
                              escaped(told.backend), service->name);
    }
    const auto s = static_cast<std::size_t>(service - services.begin());
    const auto b = static_cast<std::size_t>(backend - service->backends.begin());
    if (told.weight_permille > l4lb::kWholeWeight) {
      return invalid_argument("found weight_permille {} for backend '{}' of service '{}', expected 0 to {}",
                              told.weight_permille, backend->name, service->name, l4lb::kWholeWeight);
    }
    wanted.backends[s][b].healthy = told.healthy;
    wanted.backends[s][b].weight_permille = static_cast<unsigned>(told.weight_permille);
  }
  return publish_if_changed(wanted);
}

absl::Status Forwarding::publish_if_changed(const l4lb::SnapshotInput& wanted) {
  if (wanted.backends == input_.backends) return absl::OkStatus();
  l4lb::SnapshotInput next = wanted;
  ++next.generation;
  const absl::Status status = published_->publish(builder_.build(next), kPublishWait);
  // Late workers change nothing about what is in force.
  if (status.ok() || absl::IsDeadlineExceeded(status)) input_ = std::move(next);
  return status;
}

}  // namespace anypop::dataplane
