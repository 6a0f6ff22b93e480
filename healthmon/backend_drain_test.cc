// SPDX-License-Identifier: Apache-2.0
#include "healthmon/backend_drain.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anypop::healthmon {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class BackendDrain : public testing::Test {
 protected:
  BackendDrain() {
    std::string name = testing::TempDir() + "drain_XXXXXX";
    config_.state_dir = ::mkdtemp(name.data());
    config_.services = {{.name = "web4", .backends = {{.name = "b1"}, {.name = "b2"}}}};
  }
  ~BackendDrain() override { std::filesystem::remove_all(config_.state_dir); }
  std::vector<DrainOrder> load(std::int64_t now = 2000) { return *load_drains(config_, now); }

  PopConfig config_;
};

TEST_F(BackendDrain, IsPlacedReadAndReleased) {
  EXPECT_THAT(load(), IsEmpty()) << "no folder yet";
  const DrainOrder order{"web4", "b1", "disk \"swap\"", "alice", 1000, std::nullopt};
  const DrainOrder short_one{"web4", "b2", "reboot", "bob", 1500, 3000};
  ASSERT_TRUE(place_drain(config_, order).ok());
  ASSERT_TRUE(place_drain(config_, short_one).ok());
  EXPECT_THAT(load(), UnorderedElementsAre(order, short_one));
  EXPECT_TRUE(release_drain(config_, "web4", "b1").ok());
  EXPECT_TRUE(release_drain(config_, "web4", "b1").ok()) << "again";
  EXPECT_THAT(load(), ElementsAre(short_one));
  EXPECT_THAT(load(3000), IsEmpty()) << "expired";
}

TEST_F(BackendDrain, DoesNotComeBackWithAClockThatStepsBack) {
  const DrainOrder unlimited{"web4", "b1", "disk swap", "alice", 1000, std::nullopt};
  ASSERT_TRUE(place_drain(config_, unlimited).ok());
  ASSERT_TRUE(place_drain(config_, {"web4", "b2", "reboot", "bob", 1500, 3000}).ok());
  EXPECT_THAT(load(3000), ElementsAre(unlimited));
  EXPECT_THAT(load(2000), ElementsAre(unlimited));
  // The one that follows it is not touched.
  const DrainOrder next{"web4", "b2", "once more", "bob", 2000, 4000};
  ASSERT_TRUE(place_drain(config_, next).ok());
  EXPECT_THAT(load(3000), UnorderedElementsAre(unlimited, next));
}

TEST_F(BackendDrain, OnlyNamesOfTheConfigurationBecomePaths) {
  EXPECT_TRUE(absl::IsNotFound(place_drain(config_, {.service = "web4", .backend = "../b1"})));
  EXPECT_TRUE(absl::IsNotFound(release_drain(config_, "web5", "b1")));
  EXPECT_THAT(load(), IsEmpty());
}

TEST_F(BackendDrain, AFileThatCannotBeReadIsStillAnOrder) {
  ASSERT_TRUE(place_drain(config_, {.service = "web4", .backend = "b1"}).ok());
  std::ofstream(drains_dir(config_) / "web4.b1.json") << "half a fi";
  std::ofstream(drains_dir(config_) / "web4.gone.json") << "{}";
  std::ofstream(drains_dir(config_) / "note.txt") << "x";
  const auto orders = load();
  ASSERT_EQ(orders.size(), 1U);
  EXPECT_EQ(orders[0].backend, "b1");
  EXPECT_EQ(orders[0].reason, "the file cannot be read");
}

}  // namespace
}  // namespace anypop::healthmon
