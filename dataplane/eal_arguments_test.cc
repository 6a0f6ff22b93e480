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
  EXPECT_EQ(worker_count(config, kFourCpus), 2U);
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

TEST(EalArguments, TelemetryIsAskedFor) {
  EXPECT_THAT(eal_arguments({}, kFourCpus), Contains("--no-telemetry"));
  DataplaneConfig config;
  config.telemetry = true;
  EXPECT_THAT(eal_arguments(config, kFourCpus), Not(Contains("--no-telemetry")));
  EXPECT_EQ(value_after(eal_arguments(config, kFourCpus), "--file-prefix"), "anypop");
}

TEST(EalArguments, PlainMemoryExcludesInMemory) {
  DataplaneConfig config;
  config.hugepages = false;
  const auto arguments = eal_arguments(config, kFourCpus);
  EXPECT_THAT(arguments, Contains("--no-huge"));
  EXPECT_THAT(arguments, Contains("--no-shconf"));
  EXPECT_THAT(arguments, Not(Contains("--in-memory")));
}

TEST(EalArguments, WithoutCoresAWorkerForEachQueueAndACoreForTheRest) {
  DataplaneConfig config;
  config.ports = {{.name = "a", .device = "eth0", .queues = 2}, {.name = "b", .device = "eth1", .queues = 8}};
  EXPECT_EQ(worker_count(config, kFourCpus), 3U);
  EXPECT_EQ(worker_count(config, {0}), 1U);
  config.ports.pop_back();
  EXPECT_EQ(worker_count(config, kFourCpus), 2U);
  EXPECT_EQ(value_after(eal_arguments(config, kFourCpus), "--lcores"), "0@(0,1,2,3),1@(0,1,2,3),2@(0,1,2,3)");
}

TEST(EalArguments, PciDevicesAreAllowedOneByOne) {
  DataplaneConfig config;
  config.ports = {{.name = "a", .kind = PortKind::kPci, .device = "0000:3b:00.0"},
                  {.name = "b", .kind = PortKind::kPci, .device = "0000:3b:00.1"}};
  const auto arguments = eal_arguments(config, kFourCpus);
  EXPECT_EQ(std::count(arguments.begin(), arguments.end(), "--allow"), 2);
  EXPECT_EQ(value_after(arguments, "--allow"), "0000:3b:00.0");
  EXPECT_THAT(arguments, Contains("0000:3b:00.1"));
  EXPECT_THAT(arguments, Not(Contains("--no-pci")));
  EXPECT_THAT(arguments, Not(Contains("--iova-mode"))) << "a device with DMA may need physical addresses";
}

TEST(EalArguments, NothingIsLookedForOrLeftBehind) {
  const auto arguments = eal_arguments({}, kFourCpus);
  EXPECT_THAT(arguments, Contains("--no-pci"));
  EXPECT_THAT(arguments, Contains("--no-telemetry"));
}

}  // namespace
}  // namespace anypop::dataplane
