// SPDX-License-Identifier: Apache-2.0
// One process after the other on one folder.
#include "dataplane/takeover.h"

#include <fstream>
#include <set>

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/forwarding.h"

namespace anypop::dataplane {
namespace {

constexpr std::uint32_t kRecords = 1024;
constexpr std::uint16_t kExpires = 200;

std::uint64_t key(std::uint64_t number) { return number * 0x9e3779b97f4a7c15ULL; }

class TakeoverTest : public testing::Test {
 protected:
  TakeoverTest() {
    std::string name = testing::TempDir() + "takeover_XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~TakeoverTest() override { std::filesystem::remove_all(folder_); }

  struct Process {
    Takeover takeover;
    std::vector<l4lb::FlowTable> tables;
  };
  std::unique_ptr<Process> start(unsigned workers = 2, std::uint32_t records = kRecords, std::string boot = "b") {
    auto process = std::make_unique<Process>(Process{Takeover({.folder = folder_ / "takeover",
                                                               .workers = workers,
                                                               .flow_records = records,
                                                               .now_ms = now_ms_,
                                                               .boot = std::move(boot),
                                                               .new_epoch = ++epochs_}),
                                                     {}});
    process->takeover.open_tables();
    process->takeover.keep({.monitored = true, .health = {}, .slots = "slots"});
    for (unsigned i = 0; i < workers; ++i) process->tables.push_back(process->takeover.take_table(i));
    return process;
  }
  static void record(l4lb::FlowTable& table, std::uint64_t number) {
    table.insert(key(number), {.backend_id = 3, .expires = kExpires}, 0);
  }
  static bool has(const l4lb::FlowTable& table, std::uint64_t number) {
    return static_cast<bool>(table.find(key(number), 0));
  }
  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "takeover")) {
      names.insert(entry.path().filename());
    }
    return names;
  }

  std::filesystem::path folder_;
  std::uint64_t now_ms_ = 5000;
  std::uint64_t epochs_ = 0;
};

TEST_F(TakeoverTest, TheNextOneGoesOn) {
  {
    const auto first = start();
    EXPECT_EQ(first->takeover.legacy(), nullptr);
    record(first->tables[0], 1);
    record(first->tables[1], 2);
    first->takeover.keep({.monitored = false, .health = {}, .slots = "newer"});
  }
  const auto second = start();
  ASSERT_NE(second->takeover.legacy(), nullptr);
  EXPECT_EQ(second->takeover.legacy()->slots, "newer");
  EXPECT_FALSE(second->takeover.legacy()->monitored);
  EXPECT_TRUE(has(second->tables[0], 1));
  EXPECT_TRUE(has(second->tables[1], 2));
  EXPECT_EQ(second->takeover.records_found(), 2);
  EXPECT_TRUE(second->takeover.left_over().empty());
  EXPECT_EQ(files(), (std::set<std::string>{"state", "flows.0", "flows.1"}));
}

TEST_F(TakeoverTest, FewerWorkersLookIntoTheTablesOfThoseThatAreGoneUntilTheyAreEmpty) {
  {
    const auto first = start(4);
    for (unsigned worker = 0; worker < 3; ++worker) record(first->tables[worker], worker);
  }
  for (int again = 0; again < 2; ++again) {
    const auto fewer = start(1);
    EXPECT_TRUE(has(fewer->tables[0], 0));
    ASSERT_EQ(fewer->takeover.left_over().size(), 2) << "the fourth had no record";
    EXPECT_TRUE(has(*fewer->takeover.left_over()[0], 1));
    EXPECT_TRUE(has(*fewer->takeover.left_over()[1], 2));
    EXPECT_EQ(files(), (std::set<std::string>{"state", "flows.0", "flows.1", "flows.2"}));
  }
  const auto more = start(2);
  EXPECT_TRUE(has(more->tables[1], 1)) << "a worker of that number has it again";
  ASSERT_EQ(more->takeover.left_over().size(), 1);
  for (std::uint64_t unit = kExpires; unit < kExpires + 300; ++unit) more->takeover.tend(unit << 10U);
  EXPECT_TRUE(more->takeover.left_over()[0]->empty());
  EXPECT_EQ(files(), (std::set<std::string>{"state", "flows.0", "flows.1"}));
}

TEST_F(TakeoverTest, TablesOfAnotherSizeAreLookedInto) {
  for (unsigned worker = 0; worker < 2; ++worker) record(start()->tables[worker], worker);
  for (int again = 0; again < 2; ++again) {
    const auto larger = start(2, 4 * kRecords);
    EXPECT_EQ(larger->tables[0].capacity(), 4 * kRecords);
    ASSERT_EQ(larger->takeover.left_over().size(), 2);
    EXPECT_TRUE(has(*larger->takeover.left_over()[0], 0));
    EXPECT_TRUE(has(*larger->takeover.left_over()[1], 1));
    EXPECT_EQ(files(), (std::set<std::string>{"state", "flows.0", "flows.1", "flows.2", "flows.3"}));
  }
}

TEST_F(TakeoverTest, WithoutAUsableStateEverythingBeginsAnew) {
  const auto nothing_is_taken = [&](std::string boot = "b") {
    const auto next = start(2, kRecords, std::move(boot));
    EXPECT_EQ(next->takeover.legacy(), nullptr);
    EXPECT_TRUE(next->tables[0].empty());
    record(next->tables[0], 1);
  };
  nothing_is_taken();
  std::ofstream(folder_ / "takeover/state", std::ios::app) << "x";
  nothing_is_taken();
  std::filesystem::remove(folder_ / "takeover/state");
  nothing_is_taken();
  nothing_is_taken("another boot");
  std::ofstream(folder_ / "takeover/state").close();
  nothing_is_taken();
  // Another process's state, whose numbers mean other backends.
  std::filesystem::copy_file(folder_ / "takeover/state", folder_ / "stale");
  std::filesystem::remove(folder_ / "takeover/state");
  nothing_is_taken();
  std::filesystem::rename(folder_ / "stale", folder_ / "takeover/state");
  const auto next = start();
  EXPECT_NE(next->takeover.legacy(), nullptr);
  EXPECT_TRUE(next->tables[0].empty()) << "these records were made by other numbers";
}

TEST_F(TakeoverTest, ADamagedTableCostsItsOwnFlowsOnly) {
  {
    const auto first = start();
    record(first->tables[0], 1);
    record(first->tables[1], 2);
  }
  std::filesystem::resize_file(folder_ / "takeover/flows.0", 100);
  const auto second = start();
  EXPECT_TRUE(second->tables[0].empty());
  EXPECT_TRUE(has(second->tables[1], 2));
}

TEST_F(TakeoverTest, AFolderForAllIsNotUsed) {
  std::filesystem::create_directory(folder_ / "takeover");
  ::chmod((folder_ / "takeover").c_str(), 0777);
  const auto process = start();
  record(process->tables[1], 1);
  EXPECT_TRUE(has(process->tables[1], 1)) << "it works all the same";
  EXPECT_EQ(files(), std::set<std::string>{});
}

TEST_F(TakeoverTest, AFullFileSystemCostsTheTakeoverAndNothingElse) {
  std::filesystem::create_directory(folder_ / "takeover");
  ::chmod((folder_ / "takeover").c_str(), 0700);
  if (::mount("none", (folder_ / "takeover").c_str(), "tmpfs", 0, "size=24k,mode=700") != 0) {
    GTEST_SKIP() << "needs root, to mount a small tmpfs";
  }
  {
    const auto process = start();  // one table fits
    record(process->tables[1], 1);
    EXPECT_TRUE(has(process->tables[1], 1));
    process->takeover.keep({.monitored = false, .health = {}, .slots = std::string(100'000, 's')});
    EXPECT_FALSE(files().contains("state")) << "what is there no longer fits the records";
  }
  ::umount((folder_ / "takeover").c_str());
}

// The whole of it, without packets: what forwarding knows, and whom its next process asks.
TEST_F(TakeoverTest, ForwardingGoesOnWithHealthAndWindows) {
  PopConfig config;
  ServiceConfig service{.name = "web", .vip = *IpAddress::parse("198.51.100.1"), .port = 80, .table_size = 101};
  for (const char* name : {"b1", "b2", "b3"}) {
    service.backends.push_back({.name = name, .address = *IpAddress::parse("10.1.0.11")});
  }
  config.services = {service};
  const MacAddress mac({2, 0, 0, 0, 0, 1});
  std::vector<std::string> unknown;
  Legacy kept;
  const auto keep = [&](const Legacy& legacy) { kept = legacy; };
  {
    Forwarding first(config, mac, 1500, 1);
    first.keep_with(keep);
    ASSERT_EQ(kept.health.backends.size(), 3U) << "already before the first change";
    EXPECT_FALSE(kept.monitored);
    first.counters().current()[0]->by_backend().add(0, 64);  // a packet that a flow may go on from
    ASSERT_TRUE(first.set_health({{{"web", "b1", true, 0}, {"web", "b2", false}}}, unknown).ok());
  }
  config.services[0].backends.push_back({.name = "b4", .address = *IpAddress::parse("10.1.0.14")});
  std::swap(config.services[0].backends[0], config.services[0].backends[1]);
  Forwarding second(config, mac, 1500, 1);
  ASSERT_TRUE(second.inherit(kept).ok());
  EXPECT_FALSE(second.backend(0, 0).healthy) << "b2";
  EXPECT_TRUE(second.backend(0, 1).healthy);
  EXPECT_EQ(second.backend(0, 1).weight_permille, 0U) << "b1 drains";
  EXPECT_FALSE(second.backend(0, 3).healthy) << "b4 is new and waits for the monitor";
  EXPECT_GT(l4lb::open_windows(second.snapshot(), 0), 0);
  EXPECT_EQ(l4lb::slots(second.snapshot(), 0, 2), 101U) << "b3 owns all of them";

  kept.slots += "x";
  Forwarding third(config, mac, 1500, 1);
  EXPECT_TRUE(absl::IsInvalidArgument(third.inherit(kept)));
  EXPECT_TRUE(third.backend(0, 0).healthy) << "nothing has changed";
}

}  // namespace
}  // namespace anypop::dataplane
