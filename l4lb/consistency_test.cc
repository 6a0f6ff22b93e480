// SPDX-License-Identifier: Apache-2.0
#include "consistency.h"

#include <cstdlib>
#include <iostream>
#include <random>

#include <gtest/gtest.h>

namespace anypop::l4lb {
namespace {

class Consistency : public testing::TestWithParam<bool> {};

TEST_P(Consistency, NoFlowLosesABackendThatLives) {
  const char* text = std::getenv("ANYPOP_SEED");
  const std::uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  std::cout << "seed " << seed << " (ANYPOP_SEED repeats it)\n";
  const ConsistencyResult result = simulate_consistency({.seed = seed,
                                                         .seconds = 600,
                                                         .flows_per_second = 40,
                                                         .flood_per_second = 100,
                                                         .mean_change_ms = 15'000,
                                                         .backends = 12,
                                                         .table_size = 4099,
                                                         .quic = GetParam()});
  EXPECT_EQ(result.broken[static_cast<std::size_t>(Balancer::kEngine)], 0);
  // If these broke none, nothing would have been tried.
  EXPECT_GT(result.broken[static_cast<std::size_t>(Balancer::kMaglev)], 100);
  EXPECT_GT(result.changes, 20);
}
INSTANTIATE_TEST_SUITE_P(Flows, Consistency, testing::Bool(),
                         [](const auto& test) { return test.param ? std::string("TcpAndQuic") : std::string("Tcp"); });

}  // namespace
}  // namespace anypop::l4lb
