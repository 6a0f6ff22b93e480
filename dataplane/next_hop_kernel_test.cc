// SPDX-License-Identifier: Apache-2.0
// The neighbour monitor on a real kernel: routes and neighbours are changed by ip(8) in a network namespace of the
// test's own, and the next hop must follow. Needs root.
#include <chrono>
#include <cstdlib>
#include <functional>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include "base/text.h"
#include "dataplane/neighbour_monitor.h"

namespace anypop::dataplane {
namespace {

constexpr std::chrono::seconds kDeadline{10};

IpAddress address(std::string_view text) { return *IpAddress::parse(text); }
std::string interface_name(unsigned index) {
  char name[IF_NAMESIZE] = {};
  return ::if_indextoname(index, name) != nullptr ? name : "?";
}

class NextHopKernel : public testing::Test {
 protected:
  static constexpr const char* kMac1 = "02:00:00:00:00:01";
  static constexpr const char* kMac2 = "02:00:00:00:00:02";

  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "a network namespace needs root";
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);  // gone with the process
    ip("link set lo up");
    for (const char* port : {"eth0", "eth1", "mgmt"}) {
      ip(fmt::format("link add {0} type veth peer name {0}p", port));
      ip(fmt::format("link set {}p up", port));
      ip(fmt::format("link set {} up", port));
    }
    ip("addr add 10.1.0.2/24 dev eth0");
    ip("addr add 10.2.0.2/24 dev eth1");
    ip("addr add 10.3.0.2/24 dev mgmt");
    ip("addr add 2001:db8:1::2/64 dev eth0 nodad");
    gateway("10.1.0.1", kMac1, "eth0");
    gateway("10.2.0.1", kMac2, "eth1");
  }

  static void ip(const std::string& arguments) { ASSERT_EQ(std::system(("ip " + arguments).c_str()), 0) << arguments; }
  static void gateway(const std::string& gateway, const std::string& mac, const std::string& interface) {
    ip(fmt::format("neigh replace {} lladdr {} dev {} nud permanent", gateway, mac, interface));
  }

  void follow(std::vector<Destination> destinations) {
    auto started = NeighbourMonitor::start(
        io, NeighbourTable({::if_nametoindex("eth0"), ::if_nametoindex("eth1")}, std::move(destinations)),
        [this] { ++changes; });
    ASSERT_TRUE(started.ok()) << started.status();
    monitor = *std::move(started);
  }

  std::string mac(std::string_view backend) const {
    const auto found = monitor->table().mac(address(backend));
    return found ? found->to_string() : "";
  }
  std::string text(std::string_view backend) const {
    return monitor->table().describe(address(backend), interface_name);
  }
  bool reached(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + kDeadline;
    while (!condition() && std::chrono::steady_clock::now() < end) io.run_one_for(std::chrono::milliseconds(100));
    return condition();
  }
  void expect_mac(std::string_view backend, std::string_view wanted) {
    EXPECT_TRUE(reached([&] { return mac(backend) == wanted; }))
        << backend << " by " << mac(backend) << ", expected " << wanted << ": " << text(backend);
  }
  void expect_text(std::string_view backend, std::string_view wanted) {
    EXPECT_TRUE(reached([&] { return text(backend) == wanted; })) << text(backend);
  }

  boost::asio::io_context io;
  std::unique_ptr<NeighbourMonitor> monitor;
  int changes = 0;
};

TEST_F(NextHopKernel, TheWayToABackendFollowsTheRoute) {
  ip("route add 10.9.0.0/24 via 10.1.0.1");
  follow({{address("10.9.0.11"), false}, {address("10.1.0.11"), false}, {address("10.1.0.12"), true}});
  EXPECT_EQ(mac("10.9.0.11"), kMac1) << "known at the start";
  EXPECT_EQ(text("10.9.0.11"), "10.1.0.1 on eth0");
  EXPECT_EQ(text("10.1.0.11"), "10.1.0.11 does not answer on eth0") << "on the link";
  gateway("10.1.0.11", "02:00:00:00:00:11", "eth0");
  gateway("10.1.0.12", "02:00:00:00:00:12", "eth0");
  expect_mac("10.1.0.11", "02:00:00:00:00:11");
  expect_mac("10.1.0.12", "02:00:00:00:00:12");

  ip("route replace 10.9.0.0/24 via 10.2.0.1");
  expect_mac("10.9.0.11", kMac2);
  ip("route add 10.9.0.11/32 via 10.1.0.1");  // a longer prefix
  expect_mac("10.9.0.11", kMac1);
  gateway("10.1.0.1", "02:00:00:00:00:99", "eth0");
  expect_mac("10.9.0.11", "02:00:00:00:00:99");
  ip("route del 10.9.0.11/32");
  expect_mac("10.9.0.11", kMac2);
  ip("route del 10.9.0.0/24");
  expect_text("10.9.0.11", "no route");
  ip("route add blackhole 10.9.0.0/24");
  expect_text("10.9.0.11", "the route refuses");
  ip("route replace 10.9.0.0/24 via 10.3.0.1");
  expect_text("10.9.0.11", "the route leaves by mgmt, which is no port");
  ip("route replace 10.9.0.0/24 via 10.1.0.7");
  expect_text("10.9.0.11", "10.1.0.7 does not answer on eth0");
  ip("addr add 10.9.0.11/32 dev lo");
  expect_text("10.9.0.11", "an address of this server");
  EXPECT_GT(changes, 5);
}

TEST_F(NextHopKernel, SeveralGatewaysAndTheLossOfOne) {
  std::vector<Destination> backends;
  for (int i = 1; i <= 40; ++i) backends.push_back({address(fmt::format("10.9.0.{}", i)), false});
  ip("route add 10.9.0.0/24 nexthop via 10.1.0.1 weight 1 nexthop via 10.2.0.1 weight 1");
  follow(backends);
  const auto by = [&](std::string_view wanted) {
    int count = 0;
    for (const Destination& backend : backends) count += mac(backend.address.to_string()) == wanted ? 1 : 0;
    return count;
  };
  EXPECT_GT(by(kMac1), 5);
  EXPECT_GT(by(kMac2), 5);
  EXPECT_EQ(by(kMac1) + by(kMac2), 40);
  ip("link set eth1 down");  // which the kernel announces for the link only
  EXPECT_TRUE(reached([&] { return by(kMac1) == 40; }));
}

TEST_F(NextHopKernel, GatewaysOfTheOtherFamilyAndOnTheLink) {
  gateway("fe80::1", kMac1, "eth0");
  gateway("fe80::1", kMac2, "eth1");
  ip("route add 2001:db8:9::/64 via fe80::1 dev eth1");
  ip("route add 10.9.0.0/24 via inet6 fe80::1 dev eth0");
  follow({{address("2001:db8:9::11"), false}, {address("10.9.0.11"), false}});
  EXPECT_EQ(mac("2001:db8:9::11"), kMac2);
  EXPECT_EQ(text("2001:db8:9::11"), "fe80::1 on eth1");
  EXPECT_EQ(mac("10.9.0.11"), kMac1);
  ip("route replace 2001:db8:9::/64 nexthop via fe80::1 dev eth0 nexthop via fe80::7 dev eth1");
  expect_mac("2001:db8:9::11", kMac1);
  ip("route del 2001:db8:9::/64");
  expect_text("2001:db8:9::11", "no route");
}

TEST_F(NextHopKernel, VlanInterfacesOfAPortAreThatPort) {
  if (std::system("ip link add link eth1 name eth1.7 type vlan id 7 2>/dev/null") != 0) {
    GTEST_SKIP() << "this kernel has no VLAN interfaces (8021q)";
  }
  ip("link set eth1.7 up");
  ip("addr add 10.7.0.2/24 dev eth1.7");
  gateway("10.7.0.1", kMac1, "eth1.7");
  ip("route add 10.9.0.0/24 via 10.7.0.1");
  follow({{address("10.9.0.11"), false}, {address("10.8.0.11"), true}});
  EXPECT_EQ(text("10.9.0.11"), "10.7.0.1 on eth1.7");
  EXPECT_EQ(mac("10.9.0.11"), kMac1);
  const auto hop = monitor->table().next_hop(address("10.9.0.11"));
  ASSERT_TRUE(hop);
  EXPECT_EQ(hop->interfaces, std::vector{::if_nametoindex("eth1")});

  // One that comes later, within another, and the neighbour on it.
  ip("link add link eth1.7 name inner type vlan id 8");
  ip("link set inner up");
  ip("addr add 10.8.0.2/24 dev inner");
  gateway("10.8.0.11", kMac2, "inner");
  expect_mac("10.8.0.11", kMac2);
  EXPECT_EQ(text("10.8.0.11"), "10.8.0.11 on inner");

  ip("link add link mgmt name mgmt.7 type vlan id 7");
  ip("link set mgmt.7 up");
  ip("addr add 10.6.0.2/24 dev mgmt.7");
  ip("route replace 10.9.0.0/24 via 10.6.0.1");
  expect_text("10.9.0.11", "the route leaves by mgmt.7, which is no port");
  ip("link del eth1.7");
  expect_text("10.8.0.11", "10.8.0.11 does not answer on eth0");
}

TEST_F(NextHopKernel, NexthopObjectsAndRules) {
  ip("nexthop add id 7 via 10.1.0.1 dev eth0");
  ip("route add 10.9.0.0/24 nhid 7");
  follow({{address("10.9.0.11"), false}});
  EXPECT_EQ(mac("10.9.0.11"), kMac1);
  ip("nexthop replace id 7 via 10.2.0.1 dev eth1");
  expect_mac("10.9.0.11", kMac2);
  ip("route add 10.9.0.0/24 via 10.1.0.1 table 100");
  ip("rule add to 10.9.0.0/24 lookup 100");
  expect_mac("10.9.0.11", kMac1);
}

TEST_F(NextHopKernel, LostMessagesAreMadeUpFor) {
  ip("route add 10.9.0.0/24 via 10.1.0.1");
  follow({{address("10.9.0.11"), false}});
  // More than the socket's buffer holds, while nobody reads.
  ASSERT_EQ(
      std::system("for n in $(seq 1 4000); do echo \"route add 10.77.$((n / 200)).$((n % 200))/32 via 10.1.0.1\"; "
                  "done | ip -batch -"),
      0);
  ip("route replace 10.9.0.0/24 via 10.2.0.1");
  expect_mac("10.9.0.11", kMac2);
}

}  // namespace
}  // namespace anypop::dataplane
