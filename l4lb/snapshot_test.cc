// SPDX-License-Identifier: Apache-2.0
#include "l4lb/snapshot.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "golden_rows.h"
#include "snapshot_layout.h"

namespace anypop::l4lb {
namespace {

class Snapshots : public testing::Test {
 protected:
  SnapshotBuilder builder_{golden_services(), kGoldenKey};
  SnapshotInput input_ = golden_input();
};

TEST_F(Snapshots, SlotsFollowTheWeightsOfTheHealthy) {
  const auto all = builder_.build(input_);
  EXPECT_EQ(generation(*all), 7);
  EXPECT_EQ(slots(*all, kWeb, 0), 251);
  EXPECT_EQ(slots(*all, kSpread, 0), 125);
  EXPECT_EQ(slots(*all, kSpread, 1), 63);
  EXPECT_EQ(slots(*all, kSpread, 2), 63);
  EXPECT_EQ(slots(*all, kDead, 0), 0);
  EXPECT_EQ(slots(*all, kDead, 1), 0);
  EXPECT_EQ(slots(*all, kUnresolved, 0), 251) << "an unresolved next hop must not move flows";

  input_.backends[kSpread][2].healthy = false;
  input_.generation = 8;
  const auto fewer = builder_.build(input_);
  EXPECT_EQ(generation(*fewer), 8);
  EXPECT_EQ(slots(*fewer, kSpread, 0) + slots(*fewer, kSpread, 1), 251);
  EXPECT_EQ(slots(*fewer, kSpread, 2), 0);
  EXPECT_GT(slots(*all, kSpread, 2), 0) << "the old snapshot has changed";
}

TEST_F(Snapshots, ADrainingBackendHasNoSlotsUnlessAllDrain) {
  auto& spread = input_.backends[kSpread];
  spread[0].weight_permille = 0;
  EXPECT_EQ(slots(*builder_.build(input_), kSpread, 0), 0);
  EXPECT_EQ(slots(*builder_.build(input_), kSpread, 1), 126);
  spread[1].weight_permille = 0;
  spread[2].weight_permille = 0;
  EXPECT_EQ(slots(*builder_.build(input_), kSpread, 0), 125) << "nobody else is there to serve";
  spread[2].healthy = false;
  EXPECT_EQ(slots(*builder_.build(input_), kSpread, 0), 167);
}

// So that a pool stays in the cache however many services it has.
TEST_F(Snapshots, WhatIsReachedAlikeSharesItsAdjacency) {
  std::vector<ServiceConfig> services = {golden_services()[kSpread]};
  SnapshotInput input{.backends = {golden_input().backends[kSpread]}};
  for (int i = 0; i < 3; ++i) {
    services.push_back(services[0]);
    services.back().name = fmt::format("again{}", i);
    services.back().port = static_cast<std::uint16_t>(1000 + i);
    input.backends.push_back(input.backends[0]);
  }
  const std::size_t pool = services[0].backends.size();
  const auto adjacencies = [&] { return SnapshotBuilder(services, kGoldenKey).build(input)->adjacencies.size(); };
  const auto lists = [&] { return SnapshotBuilder(services, kGoldenKey).build(input)->adjacency_of.size(); };
  EXPECT_EQ(adjacencies(), pool);
  EXPECT_EQ(lists(), pool);

  input.backends[3][1].healthy = false;
  EXPECT_EQ(adjacencies(), pool) << "health is the slots' business";
  input.backends[3][1].next_hop_mac = *MacAddress::parse("02:00:00:00:00:99");
  EXPECT_EQ(adjacencies(), pool + 1);
  EXPECT_EQ(lists(), 2 * pool);
  services[2].forwarding = Forwarding::kIpip;
  services[2].tunnel.sources = {*IpPrefix::parse("172.16.0.0/16"), *IpPrefix::parse("2001:db8:f::/64")};
  EXPECT_EQ(adjacencies(), 2 * pool + 1);
}

TEST_F(Snapshots, AReturningBackendStartsWithAShareOfItsWeight) {
  auto& spread = input_.backends[kSpread];
  spread[0].weight_permille = 500;  // weights 1, 1, 1
  EXPECT_EQ(slots(*builder_.build(input_), kSpread, 0), 84);
  spread[0].weight_permille = 1;
  EXPECT_EQ(slots(*builder_.build(input_), kSpread, 0), 0) << "a share of less than half a slot";
  spread[0].weight_permille = kWholeWeight;
  EXPECT_EQ(slots(*builder_.build(input_), kSpread, 0), 125);
}

TEST_F(Snapshots, TablesAreSharedUnlessMembersChange) {
  const auto before = builder_.build(input_);
  input_.backends[kWeb][0].next_hop_mac = *MacAddress::parse("02:00:00:00:00:99");
  input_.backends[kDns][0].next_hop_mac.reset();
  input_.backends[kSpread][0].healthy = false;
  const auto after = builder_.build(input_);
  EXPECT_EQ(after->tables[kWeb], before->tables[kWeb]) << "a new MAC has cost a rebuild";
  EXPECT_EQ(after->tables[kDns], before->tables[kDns]) << "a lost MAC has cost a rebuild";
  EXPECT_NE(after->tables[kSpread], before->tables[kSpread]);
  EXPECT_EQ(after->tables[kSpread + kGoldenServices], before->tables[kSpread + kGoldenServices]);
  EXPECT_EQ(before->tables[kWeb], before->tables[kWeb + kGoldenServices]) << "equal members, two tables";
}

TEST_F(Snapshots, OutliveTheirBuilderAndFreeTheirTables) {
  std::weak_ptr<const MaglevTable> table;
  {
    auto moved = std::make_unique<SnapshotBuilder>(std::move(builder_));
    const auto snapshot = moved->build(input_);
    table = snapshot->tables[kSpread];
    moved.reset();
    EXPECT_EQ(slots(*snapshot, kSpread, 0), 125);
  }
  EXPECT_TRUE(table.expired());
}

// A service whose backends come and go, with or without packets in between.
class IdleService : public Snapshots {
 protected:
  static constexpr std::uint64_t kWindowMs = 120'000;

  // Backend 0 of the service is there or not from now on; `idle`: no packet went since the last build.
  std::size_t windows_after(bool healthy, bool idle) {
    input_.backends[kSpread][0].healthy = healthy;
    input_.now_ms += 5000;
    input_.idle.assign(input_.backends.size(), idle);
    last_ = builder_.build(input_);
    return open_windows(*last_, kSpread);
  }

  std::shared_ptr<const Snapshot> last_;
};

TEST_F(IdleService, WithoutAPacketNothingIsRemembered) {
  EXPECT_EQ(windows_after(true, true), 0);
  EXPECT_EQ(windows_after(false, true), 0);
  EXPECT_EQ(windows_after(true, true), 0) << "nobody can have a flow with the others";
  EXPECT_EQ(windows_after(false, true), 0);
  EXPECT_EQ(builder_.next_change_ms(), std::nullopt);
  EXPECT_GT(windows_after(true, false), 0) << "now somebody can";
}

TEST_F(IdleService, WhatComesBackBeforeTheNextPacketHasNeverBeenAway) {
  windows_after(true, true);
  windows_after(false, false);
  const std::size_t open = windows_after(true, false);
  ASSERT_GT(open, 100) << "flows of its slots are with the others";
  const SlotHistory before = *last_->histories[kSpread];
  windows_after(false, false);
  EXPECT_NE(last_->histories[kSpread]->until, before.until) << "its windows begin anew: a change";
  EXPECT_EQ(windows_after(true, true), open) << "no packet went while it was away";
  EXPECT_EQ(last_->histories[kSpread]->until, before.until);
  EXPECT_EQ(last_->histories[kSpread]->previous, before.previous);
}

TEST_F(IdleService, AWindowIsAboutWhoHadTheFlowsAndNotWhoWasThereInBetween) {
  windows_after(true, true);
  input_.backends[kSpread][1].weight_permille = 0;
  ASSERT_GT(windows_after(true, false), 0) << "packets went while 1 had slots";
  const SlotHistory direct = *last_->histories[kSpread];
  const auto owners = last_->tables[kSpread];

  input_.backends[kSpread][2].weight_permille = 0;
  windows_after(true, true);
  input_.backends[kSpread][2].weight_permille = kWholeWeight;
  windows_after(true, true);
  EXPECT_EQ(last_->tables[kSpread], owners);
  EXPECT_EQ(last_->histories[kSpread]->previous, direct.previous);
}

TEST_F(IdleService, WhoWasSilentForAWindowIsForgotten) {
  windows_after(true, true);
  input_.backends[kSpread][1].weight_permille = 0;
  ASSERT_GT(windows_after(true, false), 0);
  input_.now_ms += kWindowMs - 10'000;
  EXPECT_GT(windows_after(true, true), 0);
  input_.now_ms += 10'000;
  EXPECT_EQ(windows_after(true, true), 0);
  input_.backends[kSpread][1].weight_permille = kWholeWeight;
  EXPECT_EQ(windows_after(true, true), 0);
}

TEST_F(IdleService, AfterARestartFlowsMayBeWhereTheyWere) {
  windows_after(true, true);
  windows_after(false, false);
  SnapshotBuilder next(golden_services(), kGoldenKey);
  ASSERT_TRUE(next.restore(builder_.save()).ok());
  builder_ = std::move(next);
  EXPECT_GT(windows_after(true, false), 0);
}

}  // namespace
}  // namespace anypop::l4lb
