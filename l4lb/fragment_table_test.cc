// SPDX-License-Identifier: Apache-2.0
#include "l4lb/fragment_table.h"

#include <gtest/gtest.h>

namespace anypop::l4lb {
namespace {

FragmentRecord record(std::uint16_t port) { return {wire::be16(port), wire::be16(80), wire::IpProtocol::kUdp}; }
// Keys of one bucket in a table of any size: they differ above and below the bits that choose it.
std::uint64_t key(std::uint64_t number) { return number << 8U; }

TEST(FragmentTable, RemembersWhatWasSaidLast) {
  FragmentTable table(64);
  EXPECT_FALSE(table.find(key(1), 0));
  table.insert(key(1), record(1000), 0);
  table.insert(key(1), record(1001), 5);
  const auto found = table.find(key(1), 5);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->source_port.host(), 1001);
  EXPECT_EQ(found->destination_port.host(), 80);
  EXPECT_EQ(found->protocol, wire::IpProtocol::kUdp);
  EXPECT_FALSE(table.find(key(2), 5));
}

TEST(FragmentTable, ForgetsAfterTheTimeoutAlsoWhenTheClockWraps) {
  FragmentTable table(64);
  const std::uint32_t start = 0xfffffff0;
  table.insert(key(1), record(1), start);
  EXPECT_TRUE(table.find(key(1), start + FragmentTable::kTimeoutMs));
  EXPECT_FALSE(table.find(key(1), start + FragmentTable::kTimeoutMs + 1));
}

// Another worker's clock, or a burst whose time was taken before the first fragment came.
TEST(FragmentTable, AReaderMayBeBehindTheWriter) {
  FragmentTable table(64);
  table.insert(key(1), record(7), 1001);
  EXPECT_TRUE(table.find(key(1), 1000));
  EXPECT_TRUE(table.find(key(1), 1001 - FragmentTable::kTimeoutMs));
  EXPECT_FALSE(table.find(key(1), 1000 - FragmentTable::kTimeoutMs)) << "weeks later the clock is there again";
  table.insert(key(2), record(7), 3);
  EXPECT_TRUE(table.find(key(2), 0xffffffff));
}

TEST(FragmentTable, TheOldestGivesWay) {
  FragmentTable table(4);  // one bucket
  for (std::uint64_t i = 1; i <= 4; ++i) table.insert(key(i), record(1), static_cast<std::uint32_t>(10 * i));
  table.insert(key(1), record(1), 50);  // so the second is the oldest
  table.insert(key(5), record(1), 60);
  EXPECT_FALSE(table.find(key(2), 60));
  for (const std::uint64_t i : {1U, 3U, 4U, 5U}) EXPECT_TRUE(table.find(key(i), 60)) << i;
}

TEST(FragmentTable, AFloodCostsOthersTheirPlaceButNothingElse) {
  FragmentTable table(8192);
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15ULL;  // spreads like the hash that keys are
  table.insert(kOdd, record(7), 0);
  std::uint64_t flood = 2;
  for (; flood < 1000; ++flood) table.insert(flood * kOdd, record(1), 0);
  EXPECT_TRUE(table.find(kOdd, 0)) << "a tenth of the table is not a flood yet";
  for (; flood < 1'000'000; ++flood) table.insert(flood * kOdd, record(1), 1);
  EXPECT_FALSE(table.find(kOdd, 1));
}

}  // namespace
}  // namespace anypop::l4lb
