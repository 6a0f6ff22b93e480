// SPDX-License-Identifier: Apache-2.0
#include "healthmon/policy.h"

#include <cstdint>
#include <utility>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

using bgpctl::Level;

// How to count what is not known yet: before the first full round it may still turn out well, afterwards it is bad.
enum class Unknown { kIsGood, kIsBad };

// nullopt: good; else why not.
std::optional<std::string> dataplane_fault(const DataplaneFacts& dataplane, Unknown unknown) {
  if (dataplane.condition == DataplaneFacts::Condition::kDead) return dataplane.cause;
  if (unknown == Unknown::kIsGood) return std::nullopt;
  if (dataplane.condition == DataplaneFacts::Condition::kUnknown) return "the dataplane has not answered yet";
  if (!dataplane.next_hops_known) return "the dataplane does not say which next hops it has";
  return std::nullopt;
}

std::optional<std::string> capacity_fault(const ServiceConfig& service, const std::vector<BackendFacts>& backends,
                                          unsigned min_healthy_percent, bool next_hops_known, Unknown unknown) {
  std::uint64_t total = 0;
  std::uint64_t usable = 0;
  unsigned usable_count = 0;
  std::string no_next_hop;
  for (std::size_t i = 0; i < backends.size(); ++i) {
    const BackendConfig& backend = service.backends[i];
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
  if (usable * 100 >= total * min_healthy_percent) return std::nullopt;
  const std::uint64_t percent = total == 0 ? 0 : usable * 100 / total;
  if (no_next_hop.empty()) {
    return fmt::format("{}: {} of {} backends healthy ({} %), {} % wanted", service.name, usable_count, backends.size(),
                       percent, min_healthy_percent);
  }
  return fmt::format("{}: {} of {} backends usable ({} %), {} % wanted; next hop unresolved: {}", service.name,
                     usable_count, backends.size(), percent, min_healthy_percent, no_next_hop);
}

std::optional<std::string> fault(const PopConfig& config, const AnnouncementConfig& announcement, const Facts& facts,
                                 Unknown unknown) {
  if (auto found = dataplane_fault(facts.dataplane, unknown)) return found;
  for (const std::string& name : announcement.services) {
    const ServiceConfig* service = config.find_service(name);
    if (service == nullptr) return fmt::format("{}: no such service", name);
    const auto index = static_cast<std::size_t>(service - config.services.data());
    if (auto found = capacity_fault(*service, facts.backends[index], announcement.min_healthy_percent,
                                    facts.dataplane.next_hops_known, unknown)) {
      return found;
    }
  }
  return std::nullopt;
}

// The level that health alone asks for after the first full round; keeps the books of the hold-down.
Decision health_decision(const AnnouncementConfig& announcement, const std::optional<std::string>& fault,
                         const PolicyMemory& memory, SteadyTime now) {
  Decision decision;
  decision.memory = memory;
  PolicyMemory& next = decision.memory;
  if (fault) {
    // A fault before anything was ever good is no withdrawal, and the announcement that follows no flap.
    if (memory.good_since || memory.level != Level::kWithdrawn) next.hold_down_armed = true;
    next.good_since.reset();
    decision.cause = *fault;
    return decision;
  }
  if (!next.good_since) next.good_since = now;
  const auto good_for = now - *next.good_since;
  const Milliseconds hold_down{announcement.hold_down_ms};
  if (good_for >= hold_down) next.hold_down_armed = false;
  if (next.hold_down_armed && memory.level == Level::kWithdrawn) {
    decision.hold_down_remaining = std::chrono::ceil<Milliseconds>(hold_down - good_for);
    decision.cause = fmt::format("hold-down: healthy for {} of {} ms",
                                 std::chrono::floor<Milliseconds>(good_for).count(), hold_down.count());
    return decision;
  }
  decision.level = Level::kAnnounced;
  decision.cause = "every condition is good";
  return decision;
}

Decision early_decision(const std::optional<std::string>& certain_fault, const std::string& missing,
                        const PolicyMemory& memory) {
  Decision decision;
  decision.memory = memory;
  if (memory.level != Level::kWithdrawn && certain_fault) {
    decision.memory.hold_down_armed = true;
    decision.cause = *certain_fault;
    return decision;
  }
  decision.level = memory.level;
  decision.as_found = true;
  decision.cause = fmt::format("as found at the start, until the first full round is complete: {}", missing);
  return decision;
}

std::string held(std::string_view how, const bgpctl::Hold& hold) {
  return fmt::format("held {} by {}: {}", how, hold.who, hold.reason);
}

void apply(const bgpctl::Hold& hold, bool first_round_done, Decision& decision) {
  switch (hold.kind) {
    case bgpctl::HoldKind::kWithdraw:
      decision.level = Level::kWithdrawn;
      decision.as_found = false;
      decision.cause = held("out", hold);
      return;
    case bgpctl::HoldKind::kAnnounce:
      if (!first_round_done) return;
      decision.level = Level::kAnnounced;
      decision.cause = held("in", hold);
      return;
    case bgpctl::HoldKind::kDrain:
      if (decision.level == Level::kWithdrawn) return;  // health says more
      if (decision.level == Level::kAnnounced) decision.as_found = false;
      decision.level = Level::kDrained;
      decision.cause = held("drained", hold);
  }
}

}  // namespace

Decision decide(const PopConfig& config, const AnnouncementConfig& announcement, const Facts& facts,
                const std::optional<bgpctl::Hold>& hold, const PolicyMemory& memory, SteadyTime now) {
  Decision decision =
      facts.first_round_done
          ? health_decision(announcement, fault(config, announcement, facts, Unknown::kIsBad), memory, now)
          : early_decision(fault(config, announcement, facts, Unknown::kIsGood), facts.first_round_missing, memory);
  if (hold) apply(*hold, facts.first_round_done, decision);
  decision.memory.level = decision.level;
  return decision;
}

}  // namespace anypop::healthmon
