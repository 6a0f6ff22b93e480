// SPDX-License-Identifier: Apache-2.0
#include "healthmon/backend_policy.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace anypop::healthmon {
namespace {

constexpr unsigned kFullPermille = 1000;
// Each step is a new snapshot in the dataplane and moves flows that are new only.
constexpr unsigned kSlowStartSteps = 10;

struct Weights {
  std::uint64_t all = 0;
  std::uint64_t healthy = 0;
  bool known = true;  // every backend has a verdict
};

Weights weigh(const ServiceConfig& service, const std::vector<BackendStanding>& standings) {
  Weights weights;
  for (std::size_t i = 0; i < standings.size(); ++i) {
    weights.all += service.backends[i].weight;
    if (standings[i].health == Health::kHealthy) weights.healthy += service.backends[i].weight;
    if (standings[i].health == Health::kUnknown) weights.known = false;
  }
  return weights;
}

// The unhealthy ones that stay, because too many others are out already.
void keep_some(const ServiceConfig& service, const std::vector<BackendStanding>& standings, std::uint64_t all,
               std::vector<BackendUse>& uses) {
  std::vector<std::size_t> down;
  for (std::size_t i = 0; i < standings.size(); ++i) {
    if (standings[i].health == Health::kUnhealthy) down.push_back(i);
  }
  std::stable_sort(down.begin(), down.end(),
                   [&](std::size_t a, std::size_t b) { return standings[a].down_since < standings[b].down_since; });
  std::uint64_t out = 0;
  for (const std::size_t i : down) {
    out += service.backends[i].weight;
    if (out * 100 <= all * service.max_ejected_percent) continue;
    out -= service.backends[i].weight;
    uses[i].used = true;
    uses[i].reason = UseReason::kKept;
  }
}

// Equal steps: a tenth of the weight at once, all of it when nine tenths of the time have passed.
void start_slowly(const ServiceConfig& service, const BackendStanding& standing, SteadyTime now, BackendUse& use,
                  SteadyTime& next_change) {
  if (service.slow_start_ms == 0 || !standing.back_since) return;
  const SteadyTime::duration step = Milliseconds(service.slow_start_ms) / kSlowStartSteps;
  const auto steps =
      static_cast<unsigned>(std::min<std::int64_t>((now - *standing.back_since) / step, kSlowStartSteps));
  if (steps + 1 >= kSlowStartSteps) return;
  use.weight_permille = kFullPermille * (steps + 1) / kSlowStartSteps;
  use.reason = UseReason::kSlowStart;
  next_change = std::min(next_change, *standing.back_since + step * (steps + 1));
}

}  // namespace

std::string_view use_reason_name(UseReason reason) {
  constexpr std::array<std::string_view, 5> kNames = {"health", "draining", "panic", "kept", "slow-start"};
  return kNames[static_cast<std::size_t>(reason)];
}

ServicePlan plan_backends(const ServiceConfig& service, const std::vector<BackendStanding>& standings, SteadyTime now) {
  ServicePlan plan;
  const Weights weights = weigh(service, standings);
  plan.panic = weights.known && weights.healthy * 100 < weights.all * service.panic_percent;
  for (const BackendStanding& standing : standings) {
    BackendUse& use = plan.backends.emplace_back();
    use.known = standing.health != Health::kUnknown;
    use.used = standing.health == Health::kHealthy;
    if (use.used) start_slowly(service, standing, now, use, plan.next_change);
  }
  if (plan.panic) {
    for (std::size_t i = 0; i < standings.size(); ++i) {
      plan.backends[i] = {.known = true, .used = true, .reason = UseReason::kPanic};
    }
    plan.next_change = SteadyTime::max();
  } else if (service.max_ejected_percent < 100) {
    keep_some(service, standings, weights.all, plan.backends);
  }
  for (std::size_t i = 0; i < standings.size(); ++i) {
    if (!standings[i].drained) continue;
    plan.backends[i] = {.known = true,
                        .used = standings[i].health != Health::kUnhealthy,
                        .weight_permille = 0,
                        .reason = UseReason::kDraining};
  }
  return plan;
}

}  // namespace anypop::healthmon
