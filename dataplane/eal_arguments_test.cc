// SPDX-License-Identifier: Apache-2.0
#include "dataplane/eal_arguments.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anypop::dataplane {
namespace {

using testing::Contains;
using testing::Not;

const std::vector<unsigned> kFourCpus = {0, 1, 2, 3};

std::string value_after(const std::vector<std::string>& arguments, const std::string& name) {
  const auto at = std::find(arguments.begin(), arguments.end(), name);
  return at == arguments.end() || at + 1 == arguments.end() ? "" : *(at + 1);
}

TEST(EalArguments, WithoutCoresOneWorkerFloats) {
  const auto arguments = eal_arguments({}, kFourCpus);
  EXPECT_EQ(value_after(arguments, "--lcores"), "0@(0,1,2,3),1@(0,1,2,3)");
  EXPECT_EQ(value_after(arguments, "--main-lcore"), "0");
}

TEST(EalArguments, NamedCoresPinWorkersAndLeaveTheRestToControl) {
  DataplaneConfig config;
  config.cores = {3, 1};
  EXPECT_EQ(worker_count(config), 2U);
  EXPECT_EQ(value_after(eal_arguments(config, kFourCpus), "--lcores"), "0@(0,2),1@(3),2@(1)");
}

TEST(EalArguments, ControlSharesTheCoresWhenWorkersHaveThemAll) {
  DataplaneConfig config;
  config.cores = {0, 1};
  EXPECT_EQ(value_after(eal_arguments(config, {0, 1}), "--lcores"), "0@(0,1),1@(0),2@(1)");
}

TEST(EalArguments, HugepagesAreInMemoryAndTheirAmountIsTheConfigurations) {
  DataplaneConfig config;
  config.memory_mb = 96;
  const auto arguments = eal_arguments(config, kFourCpus);
  EXPECT_EQ(value_after(arguments, "-m"), "96");
  EXPECT_THAT(arguments, Contains("--in-memory"));
  EXPECT_THAT(arguments, Not(Contains("--no-huge")));
}

TEST(EalArguments, PlainMemoryExcludesInMemory) {
  DataplaneConfig config;
  config.hugepages = false;
  const auto arguments = eal_arguments(config, kFourCpus);
  EXPECT_THAT(arguments, Contains("--no-huge"));
  EXPECT_THAT(arguments, Contains("--no-shconf"));
  EXPECT_THAT(arguments, Not(Contains("--in-memory")));
}

TEST(EalArguments, NothingIsLookedForOrLeftBehind) {
  const auto arguments = eal_arguments({}, kFourCpus);
  EXPECT_THAT(arguments, Contains("--no-pci"));
  EXPECT_THAT(arguments, Contains("--no-telemetry"));
}

}  // namespace
}  // namespace anypop::dataplane
