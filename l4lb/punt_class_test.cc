// SPDX-License-Identifier: Apache-2.0
#include "l4lb/punt_class.h"

#include <array>

#include <gtest/gtest.h>

#include "l4lb_testing/packet_builder.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;

constexpr const char* kV4 = "192.0.2.1";
constexpr const char* kV6 = "2001:db8::1";

TEST(PuntClass, RoutingIsBgpAndBfdInBothFamilies) {
  for (const char* address : {kV4, kV6}) {
    EXPECT_EQ(punt_class(eth().ip({.destination = address}).tcp({.destination = 179}).build()), PuntClass::kRouting);
    EXPECT_EQ(punt_class(eth().ip({.destination = address}).tcp({.source = 179, .destination = 4000}).build()),
              PuntClass::kRouting);
    for (const std::uint16_t port : std::array<std::uint16_t, 3>{3784, 3785, 4784}) {
      EXPECT_EQ(punt_class(eth().ip({.destination = address}).udp({.destination = port}).build()), PuntClass::kRouting);
    }
    EXPECT_EQ(punt_class(eth().vlan(7).ip({.destination = address}).tcp({.destination = 179}).build()),
              PuntClass::kRouting);
    EXPECT_EQ(punt_class(eth().ip({.destination = address}).udp({.destination = 179}).build()), PuntClass::kOther);
    EXPECT_EQ(punt_class(eth().ip({.destination = address}).tcp({.destination = 22}).build()), PuntClass::kOther);
  }
}

TEST(PuntClass, ProbesAreWhatGoesToTheReservedAddresses) {
  const std::vector<IpPrefix> sources = {*IpPrefix::parse("10.9.0.0/24"), *IpPrefix::parse("2001:db8:9::/64")};
  for (const char* address : {"10.9.0.7", "2001:db8:9::7"}) {
    EXPECT_EQ(punt_class(eth().ip({.destination = address}).tcp({.source = 80}).build(), sources), PuntClass::kProbes);
    EXPECT_EQ(punt_class(eth().vlan(7).ip({.destination = address}).udp().build(), sources), PuntClass::kProbes);
    EXPECT_EQ(punt_class(eth().ip({.destination = address}).tcp({.source = 80}).build()), PuntClass::kOther);
    EXPECT_EQ(punt_class(eth().ip({.destination = address}).tcp({.source = 179}).build(), sources), PuntClass::kProbes)
        << "nobody speaks BGP there";
  }
  EXPECT_EQ(punt_class(eth().ip({.destination = "10.9.1.7"}).tcp({.source = 80}).build(), sources), PuntClass::kOther);
}

TEST(PuntClass, NeighboursAreArpAndDiscovery) {
  EXPECT_EQ(punt_class(eth().ether_type(0x0806).payload(28).build()), PuntClass::kNeighbours);
  EXPECT_EQ(punt_class(eth().vlan(7).ether_type(0x0806).payload(28).build()), PuntClass::kNeighbours);
  EXPECT_EQ(punt_class(eth().ether_type(0x88cc).payload(28).build()), PuntClass::kOther) << "LLDP";
  for (std::uint8_t type = 133; type <= 137; ++type) {
    EXPECT_EQ(punt_class(eth().ip({.destination = kV6}).icmp({.type = type}).build()), PuntClass::kNeighbours);
  }
}

TEST(PuntClass, TheOtherIcmpIsIcmp) {
  EXPECT_EQ(punt_class(eth().ip({.destination = kV4}).icmp({.type = 8}).build()), PuntClass::kIcmp);
  EXPECT_EQ(punt_class(eth().ip({.destination = kV4}).icmp({.type = 135}).build()), PuntClass::kIcmp);
  EXPECT_EQ(punt_class(eth().ip({.destination = kV6}).icmp({.type = 128}).build()), PuntClass::kIcmp);
}

TEST(PuntClass, EveryCutIsClassifiedWithoutLookingBehindTheEnd) {
  for (const Frame& whole : {eth().vlan(3).ip({.destination = kV6}).icmp({.type = 135}).build(),
                             eth().ip({.destination = kV4}).tcp({.destination = 179}).build()}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Frame cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_NE(punt_class(cut), PuntClass::kRouting) << "the IP header says that there is more";
    }
  }
}

}  // namespace
}  // namespace anypop::l4lb
