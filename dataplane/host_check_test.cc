// SPDX-License-Identifier: Apache-2.0
#include "dataplane/host_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::uint64_t kAll = ~std::uint64_t{0};
constexpr std::uint64_t kPage = 2U << 20U;

HostFacts good_host() {
  return {.interfaces = {{"eth0", 1500}, {"lo", 1500}},
          .cpus = {0, 1},
          .capabilities = kAll,
          .hugepage_bytes = kPage,
          .hugepages_free_bytes = 128 * (1U << 20U),
          .hugepages_total = 64};
}

PopConfig good_config() {
  PopConfig config;
  config.file = "pop.yaml";
  config.dataplane.ports = {{.name = "uplink", .kind = PortKind::kAfXdp, .device = "eth0", .queues = 1}};
  ServiceConfig service;
  service.name = "web";
  service.backends = {{.name = "b1", .address = *IpAddress::parse("10.0.0.1")}};
  config.services = {service};
  return config;
}

std::string problem(const PopConfig& config, const HostFacts& facts) {
  const absl::Status status = check_host(config, facts);
  return status.ok() ? "" : std::string(message(status));
}

TEST(HostCheck, AGoodHostPasses) { EXPECT_EQ(problem(good_config(), good_host()), ""); }

TEST(HostCheck, NamesTheMissingInterfaceAndThoseThatExist) {
  PopConfig config = good_config();
  config.dataplane.ports[0].device = "eth9";
  EXPECT_EQ(problem(config, good_host()),
            "pop.yaml: dataplane.ports[0].af_xdp: no interface 'eth9' in this network namespace, found eth0, lo");
}

TEST(HostCheck, RefusesAnMtuThatDoesNotFitInAPage) {
  HostFacts host = good_host();
  host.interfaces[0].mtu_bytes = 9000;
  EXPECT_THAT(problem(good_config(), host), AllOf(HasSubstr("dataplane.ports[0].af_xdp"), HasSubstr("MTU of 9000"),
                                                  HasSubstr("remedy: ip link set")));
}

TEST(HostCheck, AnIpv6PacketOfTheLeastSizeFitsTheTunnel) {
  HostFacts host = good_host();
  host.interfaces[0].mtu_bytes = 1331;
  PopConfig config = good_config();
  ServiceConfig service = config.services[0];
  service.name = "web6";
  service.vip = *IpAddress::parse("2001:db8:53::1");
  config.services.push_back(service);
  EXPECT_EQ(problem(config, host), "") << "no tunnel";
  config.services[0].forwarding = Forwarding::kGre;
  EXPECT_EQ(problem(config, host), "") << "IPv4 packets may be smaller";
  config.services[1].forwarding = Forwarding::kIpip;
  EXPECT_EQ(problem(config, host),
            "pop.yaml: dataplane.ports[0].af_xdp: 'eth0' has an MTU of 1331, expected at least 1332: service 'web6' "
            "puts IPv6 packets, of 1280 bytes at least, into tunnels; remedy: ip link set eth0 mtu 1500");
  host.interfaces[0].mtu_bytes = 1332;
  EXPECT_EQ(problem(config, host), "");
}

TEST(HostCheck, RefusesMoreQueuesThanTheInterfaceHas) {
  PopConfig config = good_config();
  config.dataplane.ports[0].queues = 4;
  EXPECT_THAT(problem(config, good_host()),
              HasSubstr("dataplane.ports[0].queues: found 4, expected at most 1, the queues of 'eth0'"));
}

TEST(HostCheck, AStrictReversePathFilterWouldDropTheAnswersToProbes) {
  PopConfig config = good_config();
  HostFacts host = good_host();
  host.interfaces[0].rp_filter = 1;
  EXPECT_EQ(problem(config, host), "") << "no probes take this way";
  config.dataplane.engine.probe_sources = {*IpPrefix::parse("10.9.0.0/24")};
  EXPECT_THAT(problem(config, host), HasSubstr("remedy: sysctl net.ipv4.conf.eth0.rp_filter=2"));
  host.interfaces[0].rp_filter = 2;
  EXPECT_EQ(problem(config, host), "");
  host.rp_filter = 1;
  EXPECT_EQ(problem(config, host), "") << "the interface is there already";
  config.dataplane.ports[0] = {.name = "own", .kind = PortKind::kVdev, .device = "net_null0", .kernel = "up0"};
  EXPECT_THAT(problem(config, host), HasSubstr("remedy: sysctl net.ipv4.conf.default.rp_filter=2"));
}

TEST(HostCheck, ProbesTakeBuffersOfTheFirstPort) {
  PopConfig config = good_config();
  config.dataplane.packet_buffers = 4096;
  EXPECT_EQ(problem(config, good_host()), "");
  config.dataplane.engine.probe_sources = {*IpPrefix::parse("10.9.0.0/24")};
  EXPECT_THAT(problem(config, good_host()), HasSubstr("packet_buffers: found 4096, expected at least 4160"));
}

TEST(HostCheck, NamesTheMissingCapabilities) {
  HostFacts host = good_host();
  host.capabilities &= ~(std::uint64_t{1} << CAP_NET_ADMIN) & ~(std::uint64_t{1} << CAP_BPF);
  EXPECT_THAT(problem(good_config(), host),
              AllOf(HasSubstr("lacks CAP_NET_ADMIN, CAP_BPF;"), HasSubstr("remedy: run it as root")));
}

TEST(HostCheck, TellsHowManyHugepagesAreMissing) {
  HostFacts host = good_host();
  host.hugepages_free_bytes = 12U << 20U;
  host.hugepages_total = 70;
  EXPECT_EQ(problem(good_config(), host),
            "pop.yaml: dataplane.memory_mb: 128 MB of hugepages wanted, 12 MB free; remedy: sysctl "
            "vm.nr_hugepages=128, or dataplane.hugepages: false");
}

TEST(HostCheck, HugepagesComeFreeOnlyWhereThereAreEnough) {
  HostFacts host = good_host();
  EXPECT_FALSE(hugepages_may_come_free(good_config(), host)) << "they are free already";
  host.hugepages_free_bytes = 108U << 20U;
  host.hugepage_bytes = 2U << 20U;
  host.hugepages_total = 64;
  EXPECT_TRUE(hugepages_may_come_free(good_config(), host));
  host.hugepages_total = 63;
  EXPECT_FALSE(hugepages_may_come_free(good_config(), host)) << "waiting cannot help";
}

TEST(HostCheck, PlainMemoryNeedsNoHugepages) {
  HostFacts host = good_host();
  host.hugepages_free_bytes = 0;
  PopConfig config = good_config();
  config.dataplane.hugepages = false;
  EXPECT_EQ(problem(config, host), "");
}

TEST(HostCheck, MemoryMustHoldThePacketBuffers) {
  PopConfig config = good_config();
  config.dataplane.packet_buffers = 100'000;
  EXPECT_THAT(problem(config, good_host()), HasSubstr("dataplane.memory_mb: found 128, expected at least 253"));
}

TEST(HostCheck, RefusesCoresThatDoNotExistOrComeTwice) {
  PopConfig config = good_config();
  config.dataplane.cores = {7};
  EXPECT_THAT(problem(config, good_host()), HasSubstr("dataplane.cores[0]: found 7, expected one of"));
  config.dataplane.cores = {1, 1};
  EXPECT_THAT(problem(config, good_host()), HasSubstr("dataplane.cores[1]: found 1 a second time"));
}

TEST(HostCheck, RefusesMoreWorkersThanQueues) {
  PopConfig config = good_config();
  config.dataplane.cores = {0, 1};
  EXPECT_THAT(problem(config, good_host()), HasSubstr("found 2 workers, expected at most 1"));
  config.dataplane.ports[0].queues = 2;
  HostFacts host = good_host();
  host.interfaces[0].queues = 2;
  EXPECT_EQ(problem(config, host), "");
}

TEST(HostCheck, AVdevNeedsTheMacOfEveryBackend) {
  PopConfig config = good_config();
  config.dataplane.ports[0] = {.name = "test", .kind = PortKind::kVdev, .device = "net_null0", .queues = 1};
  EXPECT_THAT(problem(config, good_host()), HasSubstr("services[0].backends[0].mac: found none for 'b1'"));
  config.services[0].backends[0].mac = MacAddress({2, 0, 0, 0, 0, 1});
  EXPECT_EQ(problem(config, good_host()), "");
}

TEST(HostCheck, AVdevNeedsNoCapabilities) {
  PopConfig config = good_config();
  config.dataplane.ports[0] = {.name = "test", .kind = PortKind::kVdev, .device = "net_null0", .queues = 1};
  config.services[0].backends[0].mac = MacAddress({2, 0, 0, 0, 0, 1});
  HostFacts host = good_host();
  host.capabilities = 0;
  EXPECT_EQ(problem(config, host), "");
}

TEST(HostCheck, NamesARunDirThatIsMissing) {
  PopConfig config = good_config();
  config.run_dir = std::filesystem::path(testing::TempDir()) / "no-such-folder";
  EXPECT_THAT(std::string(message(check_run_dir(config))),
              AllOf(HasSubstr("pop.yaml: run_dir: no folder"), HasSubstr("remedy: install -d")));
  config.run_dir = testing::TempDir();
  EXPECT_TRUE(check_run_dir(config).ok());
}

TEST(HostFacts, FindsTheLoopbackAndACore) {
  const HostFacts facts = look_at_host();
  EXPECT_FALSE(facts.cpus.empty());
  EXPECT_TRUE(std::any_of(facts.interfaces.begin(), facts.interfaces.end(),
                          [](const HostInterface& interface) { return interface.name == "lo"; }));
}

PopConfig pci_config() {
  PopConfig config = good_config();
  config.dataplane.ports = {{.name = "uplink", .kind = PortKind::kPci, .device = "0000:3b:00.0", .kernel = "up0"}};
  return config;
}

HostFacts pci_host(const std::string& driver) {
  HostFacts host = good_host();
  host.pci = {{.address = "0000:00:1f.0", .network = false},
              {.address = "0000:3b:00.0", .network = true, .driver = driver, .iommu_group = true, .accessible = true}};
  return host;
}

TEST(HostCheck, APciPortNeedsItsDriverAndAnIommu) {
  EXPECT_EQ(problem(pci_config(), pci_host("vfio-pci")), "");
  EXPECT_EQ(problem(pci_config(), pci_host("mlx5_core")), "") << "shared with the kernel";
  EXPECT_THAT(problem(pci_config(), pci_host("ixgbe")),
              AllOf(HasSubstr("dataplane.ports[0].pci: 0000:3b:00.0 is bound to ixgbe, expected vfio-pci"),
                    HasSubstr("dpdk-devbind.py --bind=vfio-pci 0000:3b:00.0")));
  HostFacts host = pci_host("vfio-pci");
  host.pci[1].accessible = false;
  EXPECT_THAT(problem(pci_config(), host), HasSubstr("may not open the IOMMU group"));
  host.pci[1].iommu_group = false;
  EXPECT_THAT(problem(pci_config(), host), HasSubstr("boot with intel_iommu=on"));
  PopConfig config = pci_config();
  config.dataplane.ports[0].device = "0000:00:1f.0";
  EXPECT_THAT(problem(config, host), HasSubstr("is no network device, expected a network device: 0000:3b:00.0"));
  config.dataplane.ports[0].device = "0000:99:00.0";
  EXPECT_THAT(problem(config, good_host()),
              HasSubstr("is not there, expected a network device: this machine has none"));
  config = pci_config();
  config.dataplane.hugepages = false;
  EXPECT_THAT(problem(config, pci_host("vfio-pci")), HasSubstr("dataplane.hugepages: false"));
}

TEST(HostCheck, AfXdpQueuesNeedTheirBuffers) {
  HostFacts host = good_host();
  host.interfaces[0].queues = 4;
  PopConfig config = good_config();
  config.dataplane.ports[0].queues = 4;
  EXPECT_THAT(problem(config, host), HasSubstr("packet_buffers: found 8192, expected at least 16384 for the 4 queues"));
  config.dataplane.packet_buffers = 16384;
  EXPECT_EQ(problem(config, host), "");
}

TEST(HostCheck, AKernelInterfaceHasNeighbours) {
  PopConfig config = good_config();
  config.dataplane.ports = {{.name = "x", .kind = PortKind::kVdev, .device = "net_null0"}};
  EXPECT_THAT(problem(config, good_host()), HasSubstr("port 'x' has no kernel interface"));
  config.dataplane.ports[0].kernel = "up0";
  EXPECT_EQ(problem(config, good_host()), "");
}

}  // namespace
}  // namespace anypop::dataplane
