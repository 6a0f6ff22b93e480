// SPDX-License-Identifier: Apache-2.0
#include "service_table.h"

#include <cstring>
#include <map>
#include <random>
#include <tuple>

#include <gtest/gtest.h>

namespace anypop::l4lb {
namespace {

template <class F>
typename F::Address address(std::uint32_t number) {
  typename F::Address made{};
  std::memcpy(&made, &number, sizeof(number));
  return made;
}

template <class F>
ServiceKey<F> key(std::uint32_t vip, std::uint16_t port, wire::IpProtocol protocol = wire::IpProtocol::kTcp) {
  return {.vip = address<F>(vip), .port = wire::be16(port), .protocol = protocol};
}

template <class F>
std::uint16_t find(const ServiceTable<F>& table, const ServiceKey<F>& of) {
  return table.find(table.finder().home(pack(of)), pack(of));
}

template <class F>
class ServiceTables : public testing::Test {};
using Families = testing::Types<V4, V6>;
TYPED_TEST_SUITE(ServiceTables, Families);

TYPED_TEST(ServiceTables, AnEmptyTableFindsNothing) {
  const ServiceTable<TypeParam> table;
  EXPECT_EQ(find(table, key<TypeParam>(1, 80)), ServiceTable<TypeParam>::kNoService);
  EXPECT_FALSE(table.has_vip(address<TypeParam>(0)));
}

TYPED_TEST(ServiceTables, EveryPartOfTheKeyMatters) {
  using Item = typename ServiceTable<TypeParam>::Item;
  const std::vector<Item> items = {{key<TypeParam>(1, 80), 5}};
  const ServiceTable<TypeParam> table(items);
  EXPECT_EQ(find(table, key<TypeParam>(1, 80)), 5);
  EXPECT_EQ(find(table, key<TypeParam>(2, 80)), 0xffff);
  EXPECT_EQ(find(table, key<TypeParam>(1, 81)), 0xffff);
  EXPECT_EQ(find(table, key<TypeParam>(1, 80, wire::IpProtocol::kUdp)), 0xffff);
  EXPECT_TRUE(table.has_vip(address<TypeParam>(1)));
  EXPECT_FALSE(table.has_vip(address<TypeParam>(2)));
}

// Thousands of services, in the regular patterns that people configure, against a std::map.
TYPED_TEST(ServiceTables, ThousandsOfServicesAreFoundAndNothingElse) {
  using Item = typename ServiceTable<TypeParam>::Item;
  std::map<std::tuple<std::uint32_t, std::uint16_t, int>, std::uint16_t> expected;
  std::vector<Item> items;
  for (std::uint16_t i = 0; i < 8000; ++i) {
    const std::uint32_t vip = __builtin_bswap32(i / 8U);  // consecutive addresses in IPv4
    const auto port = static_cast<std::uint16_t>(80 + i % 4);
    const auto protocol = i % 8 < 4 ? wire::IpProtocol::kTcp : wire::IpProtocol::kUdp;
    items.push_back({key<TypeParam>(vip, port, protocol), i});
    expected[{vip, port, static_cast<int>(protocol)}] = i;
  }
  const ServiceTable<TypeParam> table(items);
  std::mt19937 random(1);
  for (int i = 0; i < 100000; ++i) {
    const std::uint32_t vip = __builtin_bswap32(static_cast<std::uint32_t>(random() % 1100));
    const auto port = static_cast<std::uint16_t>(78 + random() % 8);
    const auto protocol = random() % 2 == 0 ? wire::IpProtocol::kTcp : wire::IpProtocol::kUdp;
    const auto at = expected.find({vip, port, static_cast<int>(protocol)});
    ASSERT_EQ(find(table, key<TypeParam>(vip, port, protocol)), at == expected.end() ? 0xffff : at->second);
    ASSERT_EQ(table.has_vip(address<TypeParam>(vip)), expected.lower_bound({vip, 0, 0}) != expected.end() &&
                                                          std::get<0>(expected.lower_bound({vip, 0, 0})->first) == vip);
  }
}

}  // namespace
}  // namespace anypop::l4lb
