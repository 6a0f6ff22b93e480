// SPDX-License-Identifier: Apache-2.0
#include "conditions.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

using bgpctl::Level;

std::optional<std::string> dataplane_fault(const DataplaneFacts& dataplane, Unknown unknown) {
  if (dataplane.condition == DataplaneFacts::Condition::kDead) return dataplane.cause;
  if (!dataplane.no_link.empty()) return fmt::format("no port of the dataplane has a link: {}", dataplane.no_link);
  if (unknown == Unknown::kIsGood) return std::nullopt;
  if (dataplane.condition == DataplaneFacts::Condition::kUnknown) return "the dataplane has not answered yet";
  if (!dataplane.next_hops_known) return "the dataplane does not say which next hops it has";
  return std::nullopt;
}

std::optional<std::string> session_fault(const RoutingFacts& routing, unsigned wanted, Unknown unknown) {
  if (wanted == 0) return std::nullopt;
  if (!routing.sessions) {
    if (unknown == Unknown::kIsGood) return std::nullopt;
    return "BIRD has not told its BGP sessions";
  }
  if (*routing.sessions >= wanted) return std::nullopt;
  return fmt::format("{} of {} wanted BGP sessions are established", *routing.sessions, wanted);
}

// Shares of the weight below which a service is no good for a level.
struct Limits {
  unsigned in_percent;    // for being announced at all
  unsigned full_percent;  // for not being drained
};

Limits limits_of(const AnnouncementConfig& announcement, const PolicyMemory& memory) {
  const unsigned margin = memory.damping.lost ? announcement.return_margin_percent : 0;
  const auto more = [&](unsigned percent, Level lost) {
    return std::max(memory.earned, memory.level) < lost ? std::min(100U, percent + margin) : percent;
  };
  const unsigned in_percent = more(announcement.min_healthy_percent, Level::kDrained);
  if (announcement.drain_below_percent == 0) return {in_percent, in_percent};
  return {in_percent, std::max(in_percent, more(announcement.drain_below_percent, Level::kAnnounced))};
}

Assessment assess_service(const ServiceConfig& service, const std::vector<BackendFacts>& backends, Limits limits,
                          bool next_hops_known, Unknown unknown) {
  std::uint64_t total = 0;
  std::uint64_t usable = 0;
  unsigned usable_count = 0;
  std::string no_next_hop;
  for (std::size_t i = 0; i < backends.size(); ++i) {
    const BackendConfig& backend = service.backends[i];
    // Added by a reload: it neither helps nor harms until it has been asked.
    if (backends[i].health == Health::kUnknown && unknown == Unknown::kIsBad) continue;
    const bool healthy = backends[i].health == Health::kHealthy ||
                         (backends[i].health == Health::kUnknown && unknown == Unknown::kIsGood);
    const bool resolved = next_hops_known ? backends[i].resolved : unknown == Unknown::kIsGood;
    total += backend.weight;
    if (healthy && resolved) {
      usable += backend.weight;
      ++usable_count;
    } else if (healthy) {
      no_next_hop += (no_next_hop.empty() ? "" : ", ") + backend.name;
    }
  }
  const bool is_in = usable * 100 >= total * limits.in_percent;
  if (is_in && usable * 100 >= total * limits.full_percent) return {};
  const std::uint64_t percent = total == 0 ? 0 : usable * 100 / total;
  return {
      is_in ? Level::kDrained : Level::kWithdrawn,
      fmt::format("{}: {} of {} backends {} ({} %), {} % wanted{}{}", service.name, usable_count, backends.size(),
                  no_next_hop.empty() ? "healthy" : "usable", percent, is_in ? limits.full_percent : limits.in_percent,
                  no_next_hop.empty() ? "" : "; next hop unresolved: ", no_next_hop)};
}

// The level that `required` of them reach; all of them when it is 0.
Assessment combine(std::vector<Assessment> services, unsigned required) {
  if (services.empty()) return {};
  std::vector<Level> levels;
  for (const Assessment& service : services) levels.push_back(service.level);
  std::sort(levels.begin(), levels.end(), std::greater<>());
  const std::size_t needed = required == 0 ? levels.size() : std::min<std::size_t>(required, levels.size());
  const Level level = levels[needed - 1];
  if (level == Level::kAnnounced) return {};
  const auto worst =
      std::find_if(services.begin(), services.end(), [&](const Assessment& service) { return service.level <= level; });
  if (needed == services.size()) return {level, std::move(worst->cause)};
  const auto good =
      std::count_if(services.begin(), services.end(), [&](const Assessment& service) { return service.level > level; });
  return {level, fmt::format("{} of {} services work, {} wanted; {}", good, services.size(), needed, worst->cause)};
}

}  // namespace

Assessment assess(const PopConfig& config, std::size_t index, const Facts& facts, const PolicyMemory& memory,
                  Unknown unknown) {
  const AnnouncementConfig& announcement = config.announcements[index];
  if (auto found = dataplane_fault(facts.dataplane, unknown)) return {Level::kWithdrawn, *std::move(found)};
  if (auto found = session_fault(facts.routing[index], announcement.min_sessions, unknown)) {
    return {Level::kWithdrawn, *std::move(found)};
  }
  const Limits limits = limits_of(announcement, memory);
  std::vector<Assessment> services;
  for (const std::string& name : announcement.services) {
    const ServiceConfig* service = config.find_service(name);
    if (service == nullptr) return {Level::kWithdrawn, fmt::format("{}: no such service", name)};
    const auto at = static_cast<std::size_t>(service - config.services.data());
    services.push_back(assess_service(*service, facts.backends[at], limits, facts.dataplane.next_hops_known, unknown));
  }
  return combine(std::move(services), announcement.required_services);
}

}  // namespace anypop::healthmon
