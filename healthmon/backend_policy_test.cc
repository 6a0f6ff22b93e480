// SPDX-License-Identifier: Apache-2.0
#include "healthmon/backend_policy.h"

#include <string>

#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kNow{1h};

ServiceConfig service(std::size_t backends, unsigned panic = 0, unsigned max_ejected = 100,
                      unsigned slow_start_ms = 0) {
  ServiceConfig config{.name = "web"};
  for (std::size_t i = 0; i < backends; ++i) config.backends.push_back({.name = fmt::format("b{}", i)});
  config.panic_percent = panic;
  config.max_ejected_percent = max_ejected;
  config.slow_start_ms = slow_start_ms;
  return config;
}

// One letter a backend. In: U healthy, D unhealthy (the further left the longer), ? unknown, u and d the same but
// drained. Out: U used, D not, ? untold, P panic, K kept, 0 draining, x not used and draining.
std::string plan(const ServiceConfig& config, const std::string& text) {
  std::vector<BackendStanding> standings;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    standings.push_back({.health = c == '?'               ? Health::kUnknown
                                   : c == 'U' || c == 'u' ? Health::kHealthy
                                                          : Health::kUnhealthy,
                         .drained = c == 'u' || c == 'd',
                         .down_since = kNow - 100s + std::chrono::seconds(i)});
  }
  std::string out;
  for (const BackendUse& use : plan_backends(config, standings, kNow).backends) {
    const bool draining = use.reason == UseReason::kDraining;
    EXPECT_EQ(use.weight_permille, draining ? 0U : 1000U);
    out += !use.known                        ? '?'
           : draining                        ? (use.used ? '0' : 'x')
           : use.reason == UseReason::kPanic ? 'P'
           : use.reason == UseReason::kKept  ? 'K'
           : use.used                        ? 'U'
                                             : 'D';
  }
  return out;
}

TEST(BackendPolicy, HealthDecidesUnlessToldOtherwise) {
  EXPECT_EQ(plan(service(4), "UD?D"), "UD?D");
  EXPECT_EQ(plan(service(2), "DD"), "DD");
}

TEST(BackendPolicy, PanicUsesAllWhenTooFewAreHealthy) {
  EXPECT_EQ(plan(service(4, 50), "UUDD"), "UUDD") << "half is not less than half";
  EXPECT_EQ(plan(service(4, 50), "UDDD"), "PPPP");
  EXPECT_EQ(plan(service(4, 1), "DDDD"), "PPPP");
  EXPECT_EQ(plan(service(4, 50), "UDD?"), "UDD?") << "not before every verdict is known";
  EXPECT_EQ(plan(service(4, 50), "UDDd"), "PPPx") << "an order outranks panic";
  ServiceConfig weighted = service(3, 50);
  weighted.backends[0].weight = 5;
  EXPECT_EQ(plan(weighted, "UDD"), "UDD") << "it is weight that counts";
}

TEST(BackendPolicy, NoMoreThanAShareIsOutAndTheFirstToFailAre) {
  EXPECT_EQ(plan(service(4, 0, 50), "DDDD"), "DDKK");
  EXPECT_EQ(plan(service(4, 0, 50), "DUDD"), "DUDK");
  EXPECT_EQ(plan(service(4, 0, 50), "UUDD"), "UUDD");
  EXPECT_EQ(plan(service(3, 0, 10), "UUD"), "UUK") << "a share smaller than one backend ejects none";
  ServiceConfig weighted = service(3, 0, 50);
  weighted.backends[0].weight = 8;
  EXPECT_EQ(plan(weighted, "DDD"), "KDD") << "what is too heavy stays, the others go";
}

TEST(BackendPolicy, ADrainedBackendGetsNoNewFlows) {
  EXPECT_EQ(plan(service(3), "uUd"), "0Ux");
  EXPECT_EQ(plan(service(2), "u?"), "0?");
}

TEST(BackendPolicy, AReturningBackendStartsSlowly) {
  const ServiceConfig config = service(2, 0, 100, 10'000);
  const auto at = [&](SteadyTime::duration since) {
    return plan_backends(config, {{.health = Health::kHealthy, .back_since = kNow}, {.health = Health::kHealthy}},
                         kNow + since);
  };
  EXPECT_EQ(at(0ms).backends[0], (BackendUse{true, true, 100, UseReason::kSlowStart}));
  EXPECT_EQ(at(0ms).next_change, kNow + 1s);
  EXPECT_EQ(at(999ms).backends[0].weight_permille, 100U);
  EXPECT_EQ(at(1s).backends[0].weight_permille, 200U);
  EXPECT_EQ(at(8500ms).backends[0].weight_permille, 900U);
  EXPECT_EQ(at(9s).backends[0], (BackendUse{true, true, 1000, UseReason::kHealth}));
  EXPECT_EQ(at(9s).next_change, SteadyTime::max());
  EXPECT_EQ(at(0ms).backends[1].weight_permille, 1000U) << "what never failed";
}

}  // namespace
}  // namespace anypop::healthmon
