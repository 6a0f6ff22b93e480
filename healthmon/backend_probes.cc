// SPDX-License-Identifier: Apache-2.0
#include "healthmon/backend_probes.h"

#include <algorithm>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

// Whatever the times and thresholds.
bool asks_the_same(const ProbeConfig& a, ProbeConfig b) {
  b.interval_ms = a.interval_ms;
  b.fast_interval_ms = a.fast_interval_ms;
  b.down_interval_ms = a.down_interval_ms;
  b.jitter_percent = a.jitter_percent;
  b.timeout_ms = a.timeout_ms;
  b.rise = a.rise;
  b.fall = a.fall;
  return a == b;
}

}  // namespace

BackendProbes::BackendProbes(const std::vector<ProbeConfig>& configs, unsigned needed)
    : configs_(&configs), needed_(needed == 0 ? configs.size() : needed) {
  for (const ProbeConfig& probe : configs) {
    records_.push_back({.rise_fall = RiseFall({.rise = probe.rise, .fall = probe.fall})});
  }
}

void BackendProbes::carry_over(const BackendProbes& old, const std::vector<ProbeConfig>& old_configs) {
  health_ = old.health_;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const auto same = std::find_if(old_configs.begin(), old_configs.end(), [&](const ProbeConfig& probe) {
      return probe.name == (*configs_)[i].name && asks_the_same(probe, (*configs_)[i]);
    });
    if (same == old_configs.end()) continue;
    const RiseFall thresholds = records_[i].rise_fall;
    records_[i] = old.records_[static_cast<std::size_t>(same - old_configs.begin())];
    records_[i].rise_fall.take_thresholds(thresholds);
  }
}

Health BackendProbes::combined() const {
  std::size_t good = 0;
  std::size_t unknown = 0;
  for (const ProbeRecord& record : records_) {
    if (record.rise_fall.health() == Health::kHealthy) ++good;
    if (record.rise_fall.health() == Health::kUnknown) ++unknown;
  }
  if (good >= needed_) return Health::kHealthy;
  return good + unknown < needed_ ? Health::kUnhealthy : Health::kUnknown;
}

// One probe speaks for itself. Of several, the ones that decide are named.
std::string BackendProbes::cause() const {
  if (records_.size() == 1) return records_[0].last.cause;
  const bool healthy = health_ == Health::kHealthy;
  std::size_t good = 0;
  std::string bad;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    if (records_[i].rise_fall.health() == Health::kHealthy) {
      ++good;
    } else {
      bad += fmt::format("{}{}: {}", bad.empty() ? "" : "; ", (*configs_)[i].name, records_[i].last.cause);
    }
  }
  const std::string count = fmt::format("{} of {} probes good, {} needed", good, records_.size(), needed_);
  return healthy && bad.empty() ? count : fmt::format("{} ({})", count, bad);
}

bool BackendProbes::add(std::size_t probe, const ProbeResult& result, std::int64_t unix_ms) {
  ProbeRecord& record = records_[probe];
  record.rise_fall.add(result.ok);
  record.last = result;
  record.last_unix_ms = unix_ms;
  ++(result.ok ? record.succeeded : record.failed);
  const Health before = health_;
  if (const Health now = combined(); now != Health::kUnknown) health_ = now;
  return health_ != before;
}

void BackendProbes::forgive() {
  for (ProbeRecord& record : records_) {
    if (!record.last.ok) record.rise_fall.forgive();
  }
  health_ = Health::kHealthy;
}

bool BackendProbes::failed_in_silence() const {
  return std::none_of(records_.begin(), records_.end(), [](const ProbeRecord& record) {
    return record.succeeded + record.failed > 0 && (record.last.ok || record.last.evidence == Evidence::kAnswered);
  });
}

Milliseconds BackendProbes::interval(std::size_t probe) const {
  const ProbeConfig& config = (*configs_)[probe];
  const RiseFall& rise_fall = records_[probe].rise_fall;
  if (rise_fall.in_transition()) return Milliseconds(config.fast_ms());
  return Milliseconds(rise_fall.health() == Health::kUnhealthy ? config.down_ms() : config.interval_ms);
}

}  // namespace anypop::healthmon
