// SPDX-License-Identifier: Apache-2.0
#include "anypop_replay/offline.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace anypop::replay {

MacAddress stand_in(const IpAddress& address) {
  std::array<std::uint8_t, 6> bytes{2};
  std::ranges::copy(address.bytes().last(4), bytes.begin() + 2);
  return MacAddress(bytes);
}

absl::StatusOr<BackendRef> find_backend(const PopConfig& config, std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '/');
  if (parts.size() != 2) return invalid_argument("found '{}', expected SERVICE/BACKEND", escaped(text));
  const auto service = std::ranges::find(config.services, parts[0], &ServiceConfig::name);
  if (service == config.services.end()) {
    return invalid_argument("found '{}', expected the name of a service and of its backend", escaped(text));
  }
  const auto backend = std::ranges::find(service->backends, parts[1], &BackendConfig::name);
  if (backend == service->backends.end()) {
    return invalid_argument("found '{}', expected a backend of service '{}'", escaped(text), service->name);
  }
  return BackendRef{static_cast<std::size_t>(service - config.services.begin()),
                    static_cast<std::size_t>(backend - service->backends.begin())};
}

OfflineForwarding::OfflineForwarding(const PopConfig& config, const OfflineOptions& options)
    : builder_(config.services, config.dataplane.hash_key, config.dataplane.engine) {
  input_.source_mac = options.port_mac.value_or(MacAddress());
  input_.mtu_bytes = options.mtu_bytes;
  for (std::size_t s = 0; s < config.services.size(); ++s) {
    auto& states = input_.backends.emplace_back();
    const auto& backends = config.services[s].backends;
    for (std::size_t b = 0; b < backends.size(); ++b) {
      if (!backends[b].mac) without_mac_.push_back({s, b});
      auto mac = backends[b].mac;
      if (!mac && options.stand_ins) mac = stand_in(backends[b].address);
      states.push_back({.next_hop_mac = mac});
    }
  }
}

void OfflineForwarding::set_healthy(BackendRef backend, bool healthy) {
  input_.backends[backend.service][backend.backend].healthy = healthy;
  snapshot_ = nullptr;
}

const l4lb::Snapshot& OfflineForwarding::snapshot(std::uint64_t now_ms) {
  const auto due = builder_.next_change_ms();
  if (snapshot_ == nullptr || (due && *due <= now_ms)) {
    input_.now_ms = now_ms;
    ++input_.generation;
    snapshot_ = builder_.build(input_);
  }
  return *snapshot_;
}

}  // namespace anypop::replay
