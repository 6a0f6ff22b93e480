// SPDX-License-Identifier: Apache-2.0
// The kernel's route messages, and the next hops that the table makes of routes and neighbours.
#include <cstring>
#include <map>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/text.h"
#include "dataplane/neighbour_table.h"
#include "dataplane/route_message.h"

namespace anypop::dataplane {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Bytes = std::vector<std::byte>;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
MacAddress mac(std::uint8_t last) { return MacAddress({2, 0, 0, 0, 0, last}); }
std::string name(unsigned index) { return fmt::format("eth{}", index); }

template <typename T>
void append(Bytes& bytes, const T& value) {
  const std::size_t at = bytes.size();
  bytes.resize(at + NLMSG_ALIGN(sizeof value));
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

Bytes attribute(std::uint16_t type, const Bytes& value) {
  Bytes bytes;
  append(bytes, nlattr{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), type});
  bytes.insert(bytes.end(), value.begin(), value.end());
  bytes.resize(NLMSG_ALIGN(bytes.size()));
  return bytes;
}

Bytes of(const IpAddress& address) {
  const auto bytes = std::as_bytes(std::span(address.bytes().data(), address.bytes().size()));
  return {bytes.begin(), bytes.end()};
}

Bytes index_of(unsigned interface) {
  Bytes bytes;
  append(bytes, interface);
  return bytes;
}

Bytes via6(const IpAddress& address) {
  const std::uint16_t family = AF_INET6;
  Bytes bytes(sizeof family);
  std::memcpy(bytes.data(), &family, sizeof family);
  const Bytes rest = of(address);
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}

Bytes hop(unsigned interface, unsigned weight, unsigned flags, const Bytes& attributes) {
  Bytes bytes;
  append(bytes,
         rtnexthop{static_cast<std::uint16_t>(sizeof(rtnexthop) + attributes.size()), static_cast<std::uint8_t>(flags),
                   static_cast<std::uint8_t>(weight - 1), static_cast<int>(interface)});
  bytes.insert(bytes.end(), attributes.begin(), attributes.end());
  return bytes;
}

Bytes route(std::uint8_t type, std::initializer_list<Bytes> attributes, std::uint8_t bits = 24) {
  rtmsg body{};
  body.rtm_family = AF_INET;
  body.rtm_dst_len = bits;
  body.rtm_type = type;
  Bytes payload;
  append(payload, body);
  for (const Bytes& one : attributes) payload.insert(payload.end(), one.begin(), one.end());
  Bytes message;
  append(message, nlmsghdr{static_cast<std::uint32_t>(sizeof(nlmsghdr) + payload.size()), RTM_NEWROUTE, 0, 7, 0});
  message.insert(message.end(), payload.begin(), payload.end());
  return message;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(RouteMessage, OneWayOnTheLinkOrOverAGateway) {
  const Bytes on_link = route(RTN_UNICAST, {attribute(RTA_OIF, index_of(3))});
  EXPECT_EQ(parse_route_answer(on_link, 7), (Route{Route::Kind::kUnicast, {{3, std::nullopt, 1}}}));
  const Bytes over = route(RTN_UNICAST, {attribute(RTA_GATEWAY, of(ip("10.1.0.1"))), attribute(RTA_OIF, index_of(3))});
  EXPECT_EQ(parse_route_answer(over, 7), (Route{Route::Kind::kUnicast, {{3, ip("10.1.0.1"), 1}}}));
  const Bytes over6 = route(RTN_UNICAST, {attribute(RTA_VIA, via6(ip("fe80::1"))), attribute(RTA_OIF, index_of(3))});
  EXPECT_EQ(parse_route_answer(over6, 7), (Route{Route::Kind::kUnicast, {{3, ip("fe80::1"), 1}}}));
  EXPECT_EQ(parse_route_answer(over, 8), std::nullopt) << "an answer to another question";
}

TEST(RouteMessage, LivingWaysOfSeveral) {
  const Bytes ways = hop(3, 2, 0, attribute(RTA_GATEWAY, of(ip("10.1.0.1")))) +
                     hop(4, 1, RTNH_F_DEAD, attribute(RTA_GATEWAY, of(ip("10.2.0.1")))) +
                     hop(4, 1, RTNH_F_LINKDOWN, attribute(RTA_GATEWAY, of(ip("10.2.0.2")))) +
                     hop(4, 1, 0, attribute(RTA_GATEWAY, of(ip("10.2.0.3"))) + attribute(RTA_ENCAP, index_of(1))) +
                     hop(5, 1, 0, attribute(RTA_VIA, via6(ip("fe80::5"))));
  EXPECT_EQ(parse_route_answer(route(RTN_UNICAST, {attribute(RTA_MULTIPATH, ways)}), 7),
            (Route{Route::Kind::kUnicast, {{3, ip("10.1.0.1"), 2}, {5, ip("fe80::5"), 1}}}));
}

TEST(RouteMessage, WhatLeadsNowhere) {
  const Bytes way = attribute(RTA_OIF, index_of(1));
  EXPECT_EQ(parse_route_answer(route(RTN_LOCAL, {way}), 7), (Route{Route::Kind::kOwn, {}}));
  EXPECT_EQ(parse_route_answer(route(RTN_BLACKHOLE, {way}), 7), (Route{Route::Kind::kRefused, {}}));
  for (const auto& [error, kind] : std::map<int, Route::Kind>{
           {ENETUNREACH, Route::Kind::kNone}, {EHOSTUNREACH, Route::Kind::kRefused}, {EACCES, Route::Kind::kRefused}}) {
    Bytes message;
    append(message, nlmsghdr{sizeof(nlmsghdr) + sizeof(nlmsgerr), NLMSG_ERROR, 0, 7, 0});
    nlmsgerr body{};
    body.error = -error;
    append(message, body);
    EXPECT_EQ(parse_route_answer(message, 7), (Route{kind, {}})) << error;
  }
}

TEST(RouteMessage, NoiseNeitherCrashesNorLoops) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const Bytes ways =
      hop(3, 2, 0, attribute(RTA_GATEWAY, of(ip("10.1.0.1")))) + hop(5, 1, 0, attribute(RTA_VIA, via6(ip("fe80::5"))));
  const Bytes whole = route(RTN_UNICAST, {attribute(RTA_DST, of(ip("10.9.0.0"))), attribute(RTA_MULTIPATH, ways)});
  ASSERT_EQ(parse_route_answer(whole, 7)->hops.size(), 2U);
  for (int round = 0; round < 20'000; ++round) {
    Bytes message = whole;
    for (auto changes = random() % 6; changes > 0; --changes) {
      message[random() % message.size()] = static_cast<std::byte>(random());
    }
    if (random() % 2 == 0) message.resize(random() % (message.size() + 1));
    const Bytes own(message.begin(), message.end());  // its own memory, for ASan
    if (const auto found = parse_route_answer(own, 7)) {
      EXPECT_LE(found->hops.size(), own.size() / sizeof(rtnexthop));
    }
    EXPECT_LE(parse_route_changes(own).prefixes.size(), own.size() / sizeof(nlmsghdr));
  }
}

TEST(RouteChanges, NameTheirDestinations) {
  const Bytes near = route(RTN_UNICAST, {attribute(RTA_DST, of(ip("10.9.0.0")))});
  const Bytes everywhere = route(RTN_UNICAST, {}, 0);
  const RouteChanges changes = parse_route_changes(near + everywhere);
  EXPECT_FALSE(changes.all);
  EXPECT_THAT(changes.prefixes, ElementsAre(*IpPrefix::parse("10.9.0.0/24"), *IpPrefix::parse("0.0.0.0/0")));
  Bytes link;
  append(link, nlmsghdr{sizeof(nlmsghdr), RTM_DELLINK, 0, 0, 0});
  EXPECT_TRUE(parse_route_changes(link).all);

  const NeighbourTable table({3}, {{ip("10.9.0.11"), false}, {ip("2001:db8::1"), false}, {ip("10.7.0.1"), true}});
  const auto concerned = [&](std::string_view prefix) { return table.concerned({{*IpPrefix::parse(prefix)}, false}); };
  EXPECT_TRUE(concerned("10.9.0.0/24") && concerned("0.0.0.0/0") && concerned("2001:db8::1/128"));
  EXPECT_FALSE(concerned("10.9.1.0/24") || concerned("10.9.0.12/32") || concerned("10.7.0.0/24"));
}

const IpAddress kGateway1 = ip("10.1.0.1");
const IpAddress kGateway2 = ip("10.1.0.2");

Route over(std::initializer_list<RouteHop> hops) { return {Route::Kind::kUnicast, hops}; }

TEST(NextHops, TheGatewaysMacOrTheBackends) {
  NeighbourTable table({3}, {{ip("10.9.0.11"), false}});
  EXPECT_THAT(table.unconfirmed(), IsEmpty()) << "nobody is asked before there is a route";
  EXPECT_EQ(table.describe(ip("10.9.0.11"), name), "the route is not known yet");
  EXPECT_TRUE(table.set_route(ip("10.9.0.11"), over({{3, kGateway1, 1}})));
  EXPECT_FALSE(table.set_route(ip("10.9.0.11"), over({{3, kGateway1, 1}})));
  EXPECT_EQ(table.unconfirmed().size(), 1U);
  EXPECT_EQ(table.describe(ip("10.9.0.11"), name), "10.1.0.1 does not answer on eth3");
  EXPECT_FALSE(table.apply({3, ip("10.9.0.11"), mac(9), true})) << "not on the link";
  EXPECT_TRUE(table.apply({3, kGateway1, mac(1), true}));
  EXPECT_EQ(table.mac(ip("10.9.0.11")), mac(1));
  EXPECT_EQ(table.describe(ip("10.9.0.11"), name), "10.1.0.1 on eth3");
  EXPECT_TRUE(table.set_route(ip("10.9.0.11"), over({{3, std::nullopt, 1}})));
  EXPECT_EQ(table.mac(ip("10.9.0.11")), std::nullopt);
  EXPECT_TRUE(table.apply({3, ip("10.9.0.11"), mac(9), true}));
  EXPECT_EQ(table.mac(ip("10.9.0.11")), mac(9));
}

TEST(NextHops, WhyThereIsNone) {
  const IpAddress backend = ip("10.9.0.11");
  NeighbourTable table({3}, {{backend, false}, {ip("10.1.0.5"), true}});
  EXPECT_EQ(table.describe(ip("10.1.0.5"), name), "10.1.0.5 does not answer on eth3");
  table.set_route(backend, {Route::Kind::kNone, {}});
  EXPECT_EQ(table.describe(backend, name), "no route");
  table.set_route(backend, {Route::Kind::kOwn, {}});
  EXPECT_EQ(table.describe(backend, name), "an address of this server");
  table.set_route(backend, {Route::Kind::kRefused, {}});
  EXPECT_EQ(table.describe(backend, name), "the route refuses");
  table.set_route(backend, over({}));
  EXPECT_EQ(table.describe(backend, name), "every way of the route is down");
  table.set_route(backend, over({{7, kGateway1, 1}}));
  EXPECT_EQ(table.describe(backend, name), "the route leaves by eth7, which is no port");
  EXPECT_EQ(table.mac(backend), std::nullopt);
}

TEST(NextHops, AnL2BackendIsNeverReachedOverAGateway) {
  NeighbourTable table({3}, {{ip("10.9.0.11"), true}, {ip("10.9.0.11"), false}});
  EXPECT_THAT(table.routed(), IsEmpty());
  EXPECT_FALSE(table.set_route(ip("10.9.0.11"), over({{3, kGateway1, 1}})));
  table.apply({3, kGateway1, mac(1), true});
  EXPECT_EQ(table.mac(ip("10.9.0.11")), std::nullopt);
}

std::map<IpAddress, MacAddress> taken(const NeighbourTable& table) {
  std::map<IpAddress, MacAddress> ways;
  for (const IpAddress& backend : table.routed()) {
    if (const auto way = table.mac(backend)) ways[backend] = *way;
  }
  return ways;
}

TEST(NextHops, SeveralGatewaysShareTheBackendsByWeightAndLoseOnlyTheirOwn) {
  std::vector<Destination> backends;
  for (int i = 0; i < 1000; ++i) backends.push_back({ip(fmt::format("10.9.{}.{}", i / 250, i % 250 + 1)), false});
  NeighbourTable table({3, 4}, backends);
  for (const IpAddress& backend : table.routed()) {
    table.set_route(backend, over({{3, kGateway1, 1}, {4, kGateway2, 3}, {9, ip("10.3.0.1"), 9}}));
  }
  table.apply({3, kGateway1, mac(1), true});
  table.apply({4, kGateway2, mac(2), true});
  const auto both = taken(table);
  ASSERT_EQ(both.size(), 1000U);
  const auto second = std::count_if(both.begin(), both.end(), [](const auto& way) { return way.second == mac(2); });
  EXPECT_NEAR(static_cast<double>(second), 750, 60);

  table.apply({3, kGateway1, std::nullopt, false});
  for (const auto& [backend, way] : taken(table)) EXPECT_EQ(way, mac(2));
  table.apply({3, kGateway1, mac(1), true});
  EXPECT_EQ(taken(table), both) << "each goes back to where it was";
}

}  // namespace
}  // namespace anypop::dataplane
