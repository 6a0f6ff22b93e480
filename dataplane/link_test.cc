// SPDX-License-Identifier: Apache-2.0
// The kernel's link messages, and what VLAN interfaces make of the table of next hops.
#include <cstring>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "dataplane/link_message.h"
#include "dataplane/neighbour_table.h"

namespace anypop::dataplane {
namespace {

using testing::ElementsAre;

using Bytes = std::vector<std::byte>;

Bytes link_message(unsigned index, const char* kind, unsigned below, bool elsewhere = false) {
  Bytes buffer(256);
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_NEWLINK;
  auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  link->ifi_index = static_cast<int>(index);
  mnl_attr_put_u32(header, IFLA_LINK, below);
  nlattr* info = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, kind);
  mnl_attr_nest_end(header, info);
  if (elsewhere) mnl_attr_put_u32(header, IFLA_LINK_NETNSID, 1);
  buffer.resize(header->nlmsg_len);
  return buffer;
}

TEST(LinkMessage, FindsVlansOfThisNetworkNamespace) {
  Bytes all = link_message(4, "vlan", 2);
  for (const Bytes& more : {link_message(5, "veth", 2), link_message(6, "vlan", 2, true), link_message(7, "vlan", 4)}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  const LinkMessages found = parse_link_messages(all);
  EXPECT_FALSE(found.end.malformed);
  EXPECT_THAT(found.vlans, ElementsAre(VlanLink{4, 2}, VlanLink{7, 4}));
}

TEST(LinkMessage, ReadsNothingBeyondItsEnd) {
  const Bytes whole = link_message(4, "vlan", 2);
  for (std::size_t size = 1; size < whole.size(); ++size) {
    EXPECT_TRUE(
        parse_link_messages(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))).end.malformed);
  }
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    Bytes damaged = whole;
    for (int j = 0; j < 3; ++j) damaged[random() % damaged.size()] = static_cast<std::byte>(random());
    (void)parse_link_messages(damaged);
  }
}

TEST(VlanInterfaces, AreFollowedOnThePortsOnly) {
  const IpAddress backend = *IpAddress::parse("10.7.0.11");
  const MacAddress mac({2, 0, 0, 0, 0, 0x11});
  NeighbourTable table({2, 3}, {{backend, true}});
  const std::vector<VlanLink> vlans = {{.interface_index = 8, .below = 7},
                                       {.interface_index = 7, .below = 3},
                                       {.interface_index = 9, .below = 1},
                                       {.interface_index = 10, .below = 10}};
  EXPECT_TRUE(table.set_vlans(vlans));
  EXPECT_FALSE(table.set_vlans(vlans));
  EXPECT_FALSE(table.apply({9, backend, mac, true}));
  EXPECT_TRUE(table.apply({8, backend, mac, true}));
  const auto only_port = NeighbourTable::NextHop{mac, {3}};
  EXPECT_EQ(table.next_hop(backend), only_port) << "the port, and not what is on it";
  EXPECT_TRUE(table.apply({3, backend, mac, true}));
  EXPECT_EQ(table.next_hop(backend), only_port);
  EXPECT_TRUE(table.set_vlans({}));
  EXPECT_TRUE(table.apply({3, backend, std::nullopt, false}));
  EXPECT_FALSE(table.next_hop(backend));
}

}  // namespace
}  // namespace anypop::dataplane
