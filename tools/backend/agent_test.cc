// SPDX-License-Identifier: Apache-2.0
// Install and remove against a model of the kernel: what is done and undone, also when the n-th step fails.
#include "agent.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "report.h"

namespace anypop::backend {
namespace {

using testing::HasSubstr;

constexpr const char* kIgnore = "net/ipv4/conf/all/arp_ignore";
constexpr const char* kAnnounce = "net/ipv4/conf/all/arp_announce";
constexpr const char* kFilterEth0 = "net/ipv4/conf/eth0/rp_filter";

struct Model {
  std::set<Vip> vips;
  std::map<std::string, std::string> sysctls{{kIgnore, "0"},
                                             {kAnnounce, "0"},
                                             {"net/ipv4/conf/all/rp_filter", "0"},
                                             {kFilterEth0, "1"},
                                             {"net/ipv4/conf/eth1/rp_filter", "0"},
                                             {"net/ipv4/conf/eth0/arp_ignore", "0"},
                                             {"net/ipv4/conf/eth1/arp_ignore", "0"},
                                             {"net/ipv4/conf/eth0/arp_announce", "0"},
                                             {"net/ipv4/conf/eth1/arp_announce", "0"}};
  std::set<std::string> qdiscs;
  std::map<std::string, Wish> programs;  // ours, by interface
  friend bool operator==(const Model&, const Model&) = default;
};

class FakeSystem : public System {
 public:
  Model now;
  std::string other_program;
  int writes_until_failure = -1;  // negative: none fails
  int writes = 0;

  absl::StatusOr<std::vector<InterfaceAddress>> addresses() override {
    return std::vector<InterfaceAddress>{{"eth0", *IpAddress::parse("10.9.0.11")},
                                         {"eth1", *IpAddress::parse("2001:db8:9::11")}};
  }
  absl::StatusOr<bool> has_vip(const Vip& vip) override { return now.vips.contains(vip); }
  absl::Status add_vip(const Vip& vip) override {
    if (absl::Status status = write(); !status.ok()) return status;
    now.vips.insert(vip);
    return absl::OkStatus();
  }
  absl::Status remove_vip(const Vip& vip) override {
    if (absl::Status status = write(); !status.ok()) return status;
    return now.vips.erase(vip) == 1 ? absl::OkStatus() : not_found("no such VIP");
  }
  absl::StatusOr<std::string> sysctl(const std::string& name) override {
    const auto at = now.sysctls.find(name);
    if (at == now.sysctls.end()) return not_found("no {}", name);
    return at->second;
  }
  absl::Status set_sysctl(const std::string& name, const std::string& value) override {
    if (absl::Status status = write(); !status.ok()) return status;
    now.sysctls[name] = value;
    return absl::OkStatus();
  }
  absl::StatusOr<Hook> hook(const std::string& interface) override {
    return Hook{now.qdiscs.contains(interface), now.programs.contains(interface), other_program};
  }
  absl::Status attach(const std::string& interface, const Wish& wish) override {
    if (absl::Status status = write(); !status.ok()) return status;
    now.qdiscs.insert(interface);
    now.programs[interface] = wish;
    return absl::OkStatus();
  }
  absl::Status detach(const std::string& interface, bool qdisc_too) override {
    if (absl::Status status = write(); !status.ok()) return status;
    if (qdisc_too) now.qdiscs.erase(interface);
    return now.programs.erase(interface) == 1 ? absl::OkStatus() : not_found("no program");
  }
  absl::StatusOr<Counters> counters(const std::string&) override { return Counters{1, 2, 3}; }

 private:
  absl::Status write() {
    ++writes;
    return writes_until_failure >= 0 && writes_until_failure-- == 0 ? internal_error("the kernel says no")
                                                                    : absl::OkStatus();
  }
};

Wish tunnel_wish() {
  Wish wish;
  wish.vips = {*IpPrefix::parse("198.51.100.1/32"), *IpPrefix::parse("2001:db8:53::1/128")};
  wish.addresses = {*IpAddress::parse("10.9.0.11"), *IpAddress::parse("2001:db8:9::11")};
  wish.sources = {*IpPrefix::parse("172.16.0.0/16")};
  wish.gue = true;
  return wish;
}

class Agent : public testing::Test {
 protected:
  std::filesystem::path file =
      std::filesystem::path(testing::TempDir()) /
      fmt::format("agent-{}/state.json", testing::UnitTest::GetInstance()->current_test_info()->name());
  FakeSystem system;
  const Model untouched = system.now;
  void TearDown() override { std::filesystem::remove_all(file.parent_path()); }
};

TEST_F(Agent, InstallsAndUndoesExactlyThat) {
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  EXPECT_EQ(system.now.vips.size(), 2U);
  EXPECT_EQ(system.now.sysctls[kIgnore], "1");
  EXPECT_EQ(system.now.sysctls[kAnnounce], "2");
  EXPECT_EQ(system.now.sysctls[kFilterEth0], "2") << "strict was loosened";
  EXPECT_EQ(system.now.sysctls["net/ipv4/conf/eth1/rp_filter"], "0") << "off stays off";
  EXPECT_EQ(system.now.programs.size(), 2U);
  ASSERT_TRUE(remove(system, file).ok());
  EXPECT_EQ(system.now, untouched);
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_TRUE(remove(system, file).ok()) << "nothing to do is fine";
}

TEST_F(Agent, LeavesWhatWasThereBefore) {
  system.now.vips.insert({*IpPrefix::parse("198.51.100.1/32"), "lo"});
  system.now.sysctls[kIgnore] = "2";
  system.now.qdiscs.insert("eth0");
  const Model before = system.now;
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  EXPECT_EQ(system.now.sysctls[kIgnore], "2") << "is silent already";
  ASSERT_TRUE(remove(system, file).ok());
  EXPECT_EQ(system.now, before);
}

TEST_F(Agent, ASecondInstallKeepsWhatWasThereBeforeTheFirst) {
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  const Model first = system.now;
  const std::string state = *read_file(file);
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  EXPECT_EQ(system.now, first);
  EXPECT_EQ(*read_file(file), state);

  Wish smaller = tunnel_wish();
  smaller.vips.pop_back();
  smaller.addresses.pop_back();
  ASSERT_TRUE(install(system, file, smaller).ok());
  EXPECT_EQ(system.now.vips.size(), 1U);
  EXPECT_EQ(system.now.programs.size(), 1U);
  ASSERT_TRUE(remove(system, file).ok());
  EXPECT_EQ(system.now, untouched);
}

TEST_F(Agent, WhicheverStepFailsEverythingIsAsBefore) {
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  const int steps = system.writes;
  ASSERT_TRUE(remove(system, file).ok());
  for (int step = 0; step < steps; ++step) {
    SCOPED_TRACE(testing::Message() << "step " << step);
    system.writes_until_failure = step;
    const absl::Status status = install(system, file, tunnel_wish());
    EXPECT_THAT(std::string(message(status)), HasSubstr("the kernel says no"));
    EXPECT_EQ(system.now, untouched);
    EXPECT_FALSE(std::filesystem::exists(file));
  }
}

TEST_F(Agent, AFailedChangeLeavesTheInstallationBefore) {
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  const Model installed = system.now;
  const std::string state = *read_file(file);
  Wish other = tunnel_wish();
  other.vips = {*IpPrefix::parse("198.51.100.2/32")};
  other.ipip = true;
  for (int step = 0; step < 7; ++step) {
    SCOPED_TRACE(testing::Message() << "step " << step);
    system.writes_until_failure = step;
    EXPECT_FALSE(install(system, file, other).ok());
    EXPECT_EQ(system.now, installed);
    EXPECT_EQ(*read_file(file), state);
  }
}

TEST_F(Agent, WhatCouldNotBeUndoneStaysOnRecord) {
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  system.writes_until_failure = 1;
  EXPECT_FALSE(remove(system, file).ok());
  EXPECT_TRUE(std::filesystem::exists(file));
  EXPECT_TRUE(remove(system, file).ok());
  EXPECT_EQ(system.now, untouched);
}

TEST_F(Agent, ASysctlThatSomebodyChangedSinceIsLeftAlone) {
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  system.now.sysctls[kIgnore] = "8";
  ASSERT_TRUE(remove(system, file).ok());
  EXPECT_EQ(system.now.sysctls[kIgnore], "8");
}

TEST_F(Agent, NothingIsTouchedWhenItCannotBe) {
  system.other_program = "cil_from_netdev";
  EXPECT_THAT(std::string(message(install(system, file, tunnel_wish()))), HasSubstr("'cil_from_netdev'"));
  system.other_program.clear();
  Wish elsewhere = tunnel_wish();
  elsewhere.addresses.push_back(*IpAddress::parse("10.9.0.99"));
  EXPECT_THAT(std::string(message(install(system, file, elsewhere))), HasSubstr("10.9.0.99"));
  Wish loud = tunnel_wish();
  loud.device = "eth0";
  EXPECT_THAT(std::string(message(install(system, file, loud))), HasSubstr("ARP"));
  EXPECT_EQ(system.writes, 0);
  EXPECT_EQ(system.now, untouched);
}

TEST_F(Agent, AForeignStateFileIsAnErrorAndStays) {
  std::filesystem::create_directories(file.parent_path());
  ASSERT_TRUE(write_file_atomically(file, "{\"wish\": 1}").ok());
  EXPECT_THAT(std::string(message(install(system, file, tunnel_wish()))), HasSubstr("state.json"));
  EXPECT_THAT(std::string(message(remove(system, file))), HasSubstr("did not write"));
  EXPECT_EQ(system.writes, 0);
}

TEST_F(Agent, LooksAtEveryPart) {
  EXPECT_TRUE(absl::IsNotFound(look(system, file).status()));
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  auto condition = look(system, file);
  ASSERT_TRUE(condition.ok());
  EXPECT_TRUE(condition->good());
  EXPECT_EQ(condition->parts.size(), 2U + 2U * 3U + 2U);
  EXPECT_THAT(to_text(*condition), HasSubstr("installed: gue over eth0, eth1"));
  EXPECT_THAT(to_json(*condition), HasSubstr("\"pass_other\":1,\"pass_fragment\":2"));

  system.now.vips.erase({*IpPrefix::parse("198.51.100.1/32"), "lo"});
  system.now.programs.erase("eth1");
  condition = look(system, file);
  EXPECT_FALSE(condition->good());
  EXPECT_THAT(to_text(*condition), HasSubstr("incomplete: gue"));
  EXPECT_THAT(to_text(*condition), HasSubstr("VIP 198.51.100.1/32 on lo: it is not there"));
  EXPECT_THAT(to_text(*condition), HasSubstr("decapsulation on eth1: the program is not attached"));
}

// What counts is how loud the server is now, and not what the install had to change for it.
TEST_F(Agent, LooksAtEveryPartAlsoWhenItWasSetBeforehand) {
  system.now.sysctls[kIgnore] = "1";
  system.now.sysctls[kAnnounce] = "2";
  system.now.sysctls[kFilterEth0] = "0";
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  EXPECT_TRUE(look(system, file)->good());
  system.now.sysctls[kIgnore] = "0";
  system.now.sysctls[kAnnounce] = "1";
  system.now.sysctls[kFilterEth0] = "1";
  const auto condition = look(system, file);
  EXPECT_FALSE(condition->good());
  const std::string text = to_text(*condition);
  EXPECT_THAT(text, HasSubstr("wrong arp_ignore of eth0: found 0, expected 1, 2, 3 or 8"));
  EXPECT_THAT(text, HasSubstr("wrong arp_ignore of eth1: found 0"));
  EXPECT_THAT(text, HasSubstr("wrong arp_announce of eth0: found 1, expected 2"));
  EXPECT_THAT(text, HasSubstr("wrong rp_filter of eth0: found 1, expected 0 or 2"));
  EXPECT_THAT(text, HasSubstr("good  rp_filter of eth1"));
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  EXPECT_TRUE(look(system, file)->good()) << "a second install makes it good";
}

TEST_F(Agent, LooksAtEveryPartAndStricterIsGood) {
  ASSERT_TRUE(install(system, file, tunnel_wish()).ok());
  system.now.sysctls[kIgnore] = "2";
  system.now.sysctls[kFilterEth0] = "0";
  EXPECT_TRUE(look(system, file)->good()) << to_text(*look(system, file));
  system.now.sysctls[kIgnore] = "0";
  for (const char* interface : {"eth0", "eth1"}) {
    system.now.sysctls[fmt::format("net/ipv4/conf/{}/arp_ignore", interface)] = "8";
  }
  EXPECT_TRUE(look(system, file)->good()) << "the larger of the interface's own and that of all counts";
  system.now.sysctls[kIgnore] = "4";
  system.now.sysctls["net/ipv4/conf/eth0/arp_ignore"] = "0";
  EXPECT_FALSE(look(system, file)->good()) << "reserved, and answers like 0";
  system.now.sysctls.erase("net/ipv4/conf/eth0/arp_ignore");
  EXPECT_THAT(to_text(*look(system, file)), HasSubstr("wrong arp_ignore of eth0: no net/ipv4/conf/eth0/arp_ignore"));

  Wish v6_only = tunnel_wish();
  v6_only.vips = {*IpPrefix::parse("2001:db8:53::1/128")};
  ASSERT_TRUE(install(system, file, v6_only).ok());
  EXPECT_TRUE(look(system, file)->good()) << "ARP says nothing about IPv6";
}

absl::StatusOr<PopConfig> configuration() {
  return parse_config(R"(
pop: ams
dataplane: {ports: [{name: a, af_xdp: eth0}], hash_key: 000102030405060708090a0b0c0d0e0f}
services:
  - {name: a, vip: 198.51.100.1, protocol: tcp, port: 80, probe: {type: tcp}, forwarding: ipip,
     tunnel_source: [172.16.0.0/16], backends: [{name: b1, address: 10.9.0.11}, {name: b2, address: 10.9.0.12}]}
  - {name: b, vip: "2001:db8:53::/64", protocol: udp, port: any, probe: {type: tcp, port: 80}, forwarding: gue,
     gue_port: 6090, tunnel_source: ["2001:db8:f::/64"], backends: [{name: b1, address: "2001:db8:9::11"}]}
  - {name: c, vip: 198.51.100.9, protocol: tcp, port: 80, probe: {type: tcp}, backends: [{name: b3, address: 10.1.0.3}]}
announcements: [{name: all, prefixes: [198.51.100.0/24, "2001:db8:53::/48"]}]
)",
                      "pop.yaml");
}

TEST(WishFromConfig, TakesEveryServiceOfTheBackend) {
  const auto config = configuration();
  ASSERT_TRUE(config.ok()) << config.status();
  auto wish = wish_from_config(*config, "b1");
  ASSERT_TRUE(wish.ok());
  Wish expected;
  expected.vips = {*IpPrefix::parse("198.51.100.1/32"), *IpPrefix::parse("2001:db8:53::/64")};
  expected.addresses = {*IpAddress::parse("10.9.0.11"), *IpAddress::parse("2001:db8:9::11")};
  expected.sources = {*IpPrefix::parse("172.16.0.0/16"), *IpPrefix::parse("2001:db8:f::/64")};
  expected.gue_ports = {6090};
  expected.ipip = expected.gue = true;
  EXPECT_EQ(*wish, expected);
  EXPECT_EQ(encapsulation_names(*wish), "ipip, gue");
  wish = wish_from_config(*config, "b3");
  EXPECT_FALSE(wish->tunnels());
  EXPECT_EQ(encapsulation_names(*wish), "l2");
  EXPECT_EQ(message(wish_from_config(*config, "b\n4").status()),
            "pop.yaml: found no backend 'b\\n4', expected one of b1, b2, b3");
}

TEST(Wish, IsRefusedWhenItMakesNoSense) {
  Wish wish;
  EXPECT_THAT(std::string(message(finish(wish))), HasSubstr("found no VIP"));
  wish.vips = {*IpPrefix::parse("198.51.100.0/24")};
  EXPECT_THAT(std::string(message(finish(wish))), HasSubstr("--address"));
  wish.addresses = {*IpAddress::parse("198.51.100.7")};
  EXPECT_THAT(std::string(message(finish(wish))), HasSubstr("inside the VIP"));
  EXPECT_THAT(std::string(message(add_encapsulations("ipip,vxlan", wish))), HasSubstr("'vxlan'"));
}

}  // namespace
}  // namespace anypop::backend
