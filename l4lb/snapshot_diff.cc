// SPDX-License-Identifier: Apache-2.0
#include "l4lb/snapshot_diff.h"

#include <algorithm>
#include <string_view>

#include "flow_hash.h"
#include "snapshot_layout.h"

namespace anypop::l4lb {
namespace {

constexpr std::size_t kAbsent = SIZE_MAX;

std::size_t index_of(const PopConfig& config, std::string_view service) {
  const auto at = std::find_if(config.services.begin(), config.services.end(),
                               [&](const ServiceConfig& candidate) { return candidate.name == service; });
  return at == config.services.end() ? kAbsent : static_cast<std::size_t>(at - config.services.begin());
}

// Who gets new flows of this hash; empty: nobody.
std::string_view owner(const Configured& where, std::size_t service, std::uint64_t hash) {
  const ServiceEntry& entry = where.snapshot.services[service];
  if (entry.slots == nullptr) return {};
  return where.config.services[service].backends[entry.slots[slot_of(hash, entry.slot_count)]].name;
}

void count(const Configured& before, const Configured& after, ServiceDiff& diff) {
  const std::size_t old = index_of(before.config, diff.name);
  const std::size_t now = index_of(after.config, diff.name);
  diff.slots = std::max(before.config.services[old].table_size, after.config.services[now].table_size);
  const auto hashes_alike = [](const ServiceConfig& a, const ServiceConfig& b) {
    return a.hash == b.hash && a.network_bits == b.network_bits;
  };
  if (!hashes_alike(before.config.services[old], after.config.services[now])) {
    diff.slots_moved = diff.slots;
    return;
  }
  for (std::uint64_t slot = 0; slot < diff.slots; ++slot) {
    // Middle of the slot, as a hash: also right where the two tables differ in size.
    const std::uint64_t hash = (((slot << 32U) + (1ULL << 31U)) / diff.slots) << 32U;
    if (owner(before, old, hash) != owner(after, now, hash)) ++diff.slots_moved;
  }
}

std::shared_ptr<const Snapshot> all_healthy(const PopConfig& config) {
  SnapshotInput input;
  for (const ServiceConfig& service : config.services) input.backends.emplace_back(service.backends.size());
  return SnapshotBuilder(config.services, config.dataplane.hash_key, config.dataplane.engine).build(input);
}

}  // namespace

void count_moved_slots(const Configured& before, const Configured& after, ConfigDiff& diff) {
  for (ServiceDiff& service : diff.services) {
    if (service.change == Change::kChanged) count(before, after, service);
  }
}

ConfigDiff predict(const PopConfig& before, const PopConfig& after) {
  ConfigDiff diff = diff_configs(before, after);
  const auto was = all_healthy(before);
  const auto is = all_healthy(after);
  count_moved_slots({before, *was}, {after, *is}, diff);
  return diff;
}

}  // namespace anypop::l4lb
