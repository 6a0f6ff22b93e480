// SPDX-License-Identifier: Apache-2.0
#include "l4lb/flow_table.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace anypop::l4lb {
namespace {

constexpr std::uint16_t kNow = 65'530;  // the clock wraps soon
constexpr std::uint16_t kLater = static_cast<std::uint16_t>(kNow + 100);

// Keys of one bucket of a table of 64 records.
std::uint64_t key(std::uint64_t number, std::uint64_t bucket = 3) { return (bucket << 30U) | (number << 3U); }

class FlowTables : public testing::Test {
 protected:
  FlowMemory memory_{FlowTable::bytes_for(64)};
  FlowTable table_{memory_.bytes(), 64, 7};

  void add(std::uint64_t of, bool half_open, std::uint16_t expires = kLater) {
    table_.insert(of, {.backend_id = static_cast<std::uint16_t>(of >> 3U), .half_open = half_open, .expires = expires},
                  kNow);
  }
  bool has(std::uint64_t of, std::uint16_t now = kNow) const {
    EXPECT_TRUE(!table_.find(of, now) || table_.may_hold(of)) << "the filter denies what is there";
    return static_cast<bool>(table_.find(of, now));
  }
};

TEST_F(FlowTables, ARecordIsFoundUntilItExpires) {
  EXPECT_TRUE(table_.empty());
  EXPECT_FALSE(table_.may_hold(key(5)));
  add(key(5), true);
  const FlowTable::Found found = table_.find(key(5), kNow);
  ASSERT_TRUE(found);
  EXPECT_EQ(found.backend_id(), 5);
  EXPECT_TRUE(found.half_open());
  EXPECT_TRUE(has(key(5), kLater));
  EXPECT_FALSE(has(key(5), static_cast<std::uint16_t>(kLater + 1)));
  EXPECT_FALSE(has(key(6)));
  EXPECT_FALSE(has(key(5, 4)));
  table_.update(found, {.backend_id = 9, .half_open = false, .expires = kLater}, kNow);
  EXPECT_EQ(table_.find(key(5), kNow).backend_id(), 9);
  EXPECT_FALSE(table_.find(key(5), kNow).half_open());
  EXPECT_EQ(table_.stats().half_open, 0);
  EXPECT_EQ(table_.stats().established, 1);
  table_.erase(key(5), table_.find(key(5), kNow));
  EXPECT_FALSE(has(key(5)));
  EXPECT_TRUE(table_.empty());
  EXPECT_FALSE(table_.may_hold(key(5)));
}

TEST_F(FlowTables, AFloodOfHalfOpenOnesPushesOutNothingElse) {
  for (std::uint64_t i = 0; i < 4; ++i) add(key(i), false);
  for (std::uint64_t i = 100; i < 200; ++i) add(key(i), true, static_cast<std::uint16_t>(kNow + i - 100));
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_TRUE(has(key(i)));
  EXPECT_EQ(table_.stats().half_open, FlowTable::kHalfOpenPerBucket);
  EXPECT_EQ(table_.stats().evicted_half_open, 97);
  for (std::uint64_t i = 197; i < 200; ++i) EXPECT_TRUE(has(key(i))) << "the oldest gives way";
  // Established ones get seven places; confirming the last half-open one would make eight.
  for (std::uint64_t i = 4; i < 7; ++i) add(key(i), false);
  for (std::uint64_t i = 0; i < 7; ++i) EXPECT_TRUE(has(key(i)));
  EXPECT_EQ(table_.stats().half_open, 1);
  EXPECT_EQ(table_.stats().evicted_established, 0);
  // Then the one that would expire first gives way.
  const auto soon = static_cast<std::uint16_t>(kNow + 1);
  table_.update(table_.find(key(6), kNow), {.backend_id = 6, .expires = soon}, kNow);
  add(key(300), true);
  table_.update(table_.find(key(300), kNow), {.backend_id = 300, .expires = kLater}, kNow);
  EXPECT_FALSE(has(key(6)));
  EXPECT_TRUE(has(key(300)));
  EXPECT_EQ(table_.stats().evicted_established, 1);
  table_.update(table_.find(key(5), kNow), {.backend_id = 5, .expires = soon}, kNow);
  add(key(8), false);
  EXPECT_FALSE(has(key(5)));
  EXPECT_EQ(table_.stats().established, FlowTable::kEstablishedPerBucket);
  EXPECT_EQ(table_.stats().evicted_established, 2);
}

TEST_F(FlowTables, WhatHasExpiredGivesWayFirstAndIsSwept) {
  for (std::uint64_t i = 0; i < 7; ++i) add(key(i), false, i == 2 ? kNow : kLater);
  const auto after = static_cast<std::uint16_t>(kNow + 1);
  table_.insert(key(9), {.backend_id = 9, .expires = kLater}, after);
  EXPECT_EQ(table_.stats().expired, 1);
  EXPECT_EQ(table_.stats().evicted_established, 0);
  for (unsigned i = 1; i < 200; ++i) table_.sweep(static_cast<std::uint16_t>(kLater + i));
  EXPECT_TRUE(table_.empty());
  EXPECT_EQ(table_.stats().expired, 8);
  for (std::uint64_t i = 0; i < 8; ++i) EXPECT_FALSE(table_.may_hold(key(i)));
}

TEST_F(FlowTables, AnotherProcessTakesOverWhatFits) {
  add(key(5), false);
  add(key(6), true);
  const auto adopted = FlowTable::adopt(memory_.bytes(), 64, 7);
  ASSERT_TRUE(adopted);
  EXPECT_EQ(adopted->find(key(5), kNow).backend_id(), 5);
  EXPECT_TRUE(adopted->may_hold(key(6)));
  EXPECT_EQ(adopted->stats().established, 1);
  EXPECT_EQ(adopted->stats().half_open, 1);
  EXPECT_FALSE(FlowTable::adopt(memory_.bytes(), 64, 8)) << "another key";
  EXPECT_FALSE(FlowTable::adopt(memory_.bytes(), 128, 7)) << "another size";
  EXPECT_FALSE(FlowTable::adopt(memory_.bytes().first(70), 64, 7)) << "cut";
  memory_.bytes()[8] ^= std::byte{1};
  EXPECT_FALSE(FlowTable::adopt(memory_.bytes(), 64, 7)) << "another layout";
}

TEST_F(FlowTables, WhateverAnotherProcessLeftDoesNoHarm) {
  std::mt19937_64 random(1);
  for (std::byte& byte : memory_.bytes().subspan(64)) byte = static_cast<std::byte>(random());
  auto adopted = FlowTable::adopt(memory_.bytes(), 64, 7);
  ASSERT_TRUE(adopted);
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t of = random();
    const auto now = static_cast<std::uint16_t>(random());
    const FlowTable::Found found = adopted->find(of, now);
    if (found && i % 3 == 0) {
      adopted->erase(of, found);
    } else if (!found) {
      adopted->insert(of, {.backend_id = 1, .half_open = i % 2 == 0, .expires = now}, now);
      adopted->sweep(now);
    }
    ASSERT_LE(adopted->stats().half_open + adopted->stats().established, adopted->capacity());
  }
}

TEST(FlowTableSize, IsAtMostTenBytesARecord) {
  for (const std::uint32_t records : {1024U, 1U << 20U, 1U << 24U}) {
    EXPECT_LE(FlowTable::bytes_for(records), records * 10) << records;
  }
}

}  // namespace
}  // namespace anypop::l4lb
