// SPDX-License-Identifier: Apache-2.0
#include "base/config.h"

#include <ostream>
#include <string>

#include <absl/strings/str_replace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop {
namespace {

constexpr const char* kGood = R"(pop: ams
dataplane:
  hash_key: 000102030405060708090a0b0c0d0e0f
  ports:
    - {name: uplink, af_xdp: eth0}
services:
  - name: web4
    vip: 198.51.100.1
    protocol: tcp
    port: 80
    backends:
      - {name: b1, address: 10.0.0.1}
      - {name: b2, address: 10.0.0.2, weight: 3, mac: "02:00:00:00:00:02"}
    probe: {type: http, path: /healthz, interval_ms: 100, timeout_ms: 90, rise: 1, fall: 3}
  - name: dns6
    vip: 2001:db8:53::53
    protocol: udp
    port: 53
    backends:
      - {name: b1, address: "2001:db8:a::1"}
    probe: {type: tcp}
announcements:
  - {name: web, prefixes: [198.51.100.0/24], hold_down_ms: 500, drain: {prepend: 3, quiet_pps: 0, quiet_s: 5}}
  - {name: dns, prefixes: ["2001:db8:53::/48"], services: [dns6]}
)";

absl::StatusOr<PopConfig> parse(const std::string& text) { return parse_config(text, "pop.yaml"); }

TEST(Config, ReadsEveryKeyAndFillsInWhatMayBeLeftOut) {
  const auto config = parse(kGood);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->pop, "ams");
  EXPECT_EQ(config->dataplane.hash_key[15], 15);
  EXPECT_EQ(config->dataplane.ports[0].device, "eth0");
  const ServiceConfig& web = *config->find_service("web4");
  EXPECT_EQ(web.backends[1].weight, 3U);
  EXPECT_EQ(web.backends[1].mac->to_string(), "02:00:00:00:00:02");
  ASSERT_EQ(web.probes.size(), 1U);
  EXPECT_EQ(web.probes_needed, 1U);
  EXPECT_EQ(web.probes[0].type, ProbeType::kHttp);
  EXPECT_EQ(web.probes[0].port, 80) << "the service's own";
  EXPECT_EQ(config->find_announcement("web")->services, std::vector<std::string>{"web4"}) << "all inside the prefixes";
  EXPECT_EQ(config->find_announcement("web")->hold_down_ms, 500U);
  EXPECT_EQ(config->find_announcement("web")->drain, (DrainConfig{3, 0, 5}));
  EXPECT_EQ(config->find_service("none"), nullptr);
}

TEST(Config, NothingMayFollowTheFirstDocument) {
  const std::string json = R"({"pop": "ams", "services": [], "announcements": []})";
  EXPECT_THAT(parse(json + "\n\nnonsense: 1\n").status().message(),
              testing::HasSubstr("pop.yaml:3: found a second YAML document, expected the file to end with the first"));
  EXPECT_FALSE(parse(",").ok()) << "of which yaml-cpp's loader of all documents makes them without an end";
  EXPECT_TRUE(parse("---\n" + std::string(kGood) + "...\n").ok()) << "the marks of one document are fine";
  EXPECT_TRUE(parse("# a comment\n" + std::string(kGood) + "\n# another\n").ok());
}

TEST(Config, ProbesThroughTheDataPathMustBeOfTheService) {
  const auto with = [](const std::string& probe) {
    return parse(absl::StrReplaceAll(
        kGood, {{"  hash_key", "  probe_sources: [10.9.0.0/24, \"2001:db8:9::/64\"]\n  hash_key"},
                {"probe: {type: http, path: /healthz, interval_ms: 100, timeout_ms: 90, rise: 1, fall: 3}", probe}}));
  };
  const auto config = with("probe: {type: http, via: dataplane}");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->services[0].probes[0].via, ProbeVia::kDataplane);
  EXPECT_EQ(config->services[1].probes[0].via, ProbeVia::kDirect);
  EXPECT_EQ(config->dataplane.engine.probe_sources.at(1).to_string(), "2001:db8:9::/64");
  EXPECT_EQ(config->dataplane.probe_interface, "anypop-probe");
  EXPECT_TRUE(with("probe: {type: exec, via: dataplane, command: [/bin/true]}").ok());
  EXPECT_EQ(message(parse(absl::StrReplaceAll(kGood, {{"type: http,", "type: http, via: dataplane,"}})).status()),
            "pop.yaml:7: services[0].probe.via: found dataplane without an IPv4 prefix in dataplane.probe_sources, "
            "expected one");
  EXPECT_EQ(message(with("probe: {type: http, via: dataplane, port: 81}").status()),
            "pop.yaml:8: services[0].probe.port: found 81 with via: dataplane, expected a port of the service: 80");
  EXPECT_EQ(message(with("probe: {type: dns, via: dataplane}").status()),
            "pop.yaml:8: services[0].probe.via: found dataplane with a probe by udp, expected tcp, the service's "
            "protocol");
}

TEST(Config, ReadsTunnelsAndChoicesOfTheEngine) {
  const auto config = parse(absl::StrReplaceAll(
      kGood,
      {{"    port: 80",
        "    port: 80\n    track: always\n    forwarding: gue\n    tunnel_source: [172.16.0.0/16, \"2001:db8:f::1\"]\n"
        "    tunnel_mtu: 9000\n    gue_port: 16080\n    gue_zero_checksum: true"},
       {"address: 10.0.0.2", "address: \"2001:db8::2\""},
       {"  hash_key",
        "  too_big_per_second: 7\n  answer_echo: never\n  echo_per_second: 8\n  fragments: drop\n"
        "  fragment_records: 16\n  flow_records: 1024\n  flow_window_ms: 1000\n  tcp_idle_ms: 2000\n"
        "  udp_idle_ms: 3000\n  hash_key"}}));
  ASSERT_TRUE(config.ok()) << config.status();
  const ServiceConfig& web = *config->find_service("web4");
  EXPECT_EQ(web.forwarding, Forwarding::kGue);
  EXPECT_EQ(web.tunnel.sources[0].to_string(), "172.16.0.0/16");
  EXPECT_EQ(web.tunnel.sources[1].to_string(), "2001:db8:f::1/128") << "a bare address stands for itself";
  EXPECT_EQ(web.tunnel.mtu_bytes, 9000);
  EXPECT_EQ(web.tunnel.gue_port, 16080);
  EXPECT_TRUE(web.tunnel.gue_zero_checksum);
  EXPECT_EQ(config->dataplane.engine, (EngineConfig{.answer_echo = AnswerEcho::kNever,
                                                    .fragments = FragmentPolicy::kDrop,
                                                    .fragment_records = 16,
                                                    .echo_per_second = 8,
                                                    .too_big_per_second = 7,
                                                    .flow_records = 1024,
                                                    .flow_window_ms = 1000,
                                                    .tcp_idle_ms = 2000,
                                                    .udp_idle_ms = 3000}));
  EXPECT_EQ(web.track, Track::kAlways);
  EXPECT_EQ(config->find_service("dns6")->track, Track::kChanges);
}

TEST(Config, ReadsPortsPrefixesAndHashes) {
  const auto config = parse(absl::StrReplaceAll(
      kGood, {{"    port: 80", "    port: 8000-8099\n    hash: source_network\n    network_bits: 20"},
              {"vip: 198.51.100.1", "vip: 198.51.100.0/25"},
              {"    port: 53", "    port: any"},
              {"{type: tcp}", "{type: tcp, port: 53}"}}));
  ASSERT_TRUE(config.ok()) << config.status();
  const ServiceConfig& web = *config->find_service("web4");
  EXPECT_EQ(web.vip_prefix().to_string(), "198.51.100.0/25");
  EXPECT_EQ(web.ports(), "8000-8099");
  EXPECT_EQ(web.probes[0].port, 8000) << "the first one";
  EXPECT_EQ(web.hash, HashBy::kSourceNetwork);
  EXPECT_EQ(web.network_bits, 20);
  EXPECT_TRUE(config->find_service("dns6")->any_port());
}

TEST(Config, ReadsQuic) {
  const auto one =
      parse(absl::StrReplaceAll(kGood, {{"    port: 53", "    port: 53\n    quic: {config_id: 6, server_id_bytes: 2}"},
                                        {"a::1\"}", "a::1\", server_id: 00Ff}"}}));
  ASSERT_TRUE(one.ok()) << one.status();
  const ServiceConfig& dns = *one->find_service("dns6");
  EXPECT_EQ(dns.quic, (std::vector<QuicConfig>{{.config_id = 6, .server_id_bytes = 2}}));
  EXPECT_EQ(dns.backends[0].server_ids, std::vector<std::string>{std::string("\0\xff", 2)});

  const auto rotating = parse(absl::StrReplaceAll(
      kGood, {{"    port: 53",
               "    port: 53\n    quic: [{config_id: 0, server_id_bytes: 1}, {config_id: 1, server_id_bytes: 15}]"},
              {"a::1\"}", "a::1\", server_id: [01, 0102030405060708090a0b0c0d0e0f]}"}}));
  ASSERT_TRUE(rotating.ok()) << rotating.status();
  EXPECT_EQ(rotating->find_service("dns6")->quic.size(), 2U);
  EXPECT_EQ(rotating->find_service("dns6")->backends[0].server_ids[1].size(), 15U);
}

TEST(Config, TheShippedExampleIsGood) {
  const auto config = load_config(ANYPOP_EXAMPLE_CONFIG);
  EXPECT_TRUE(config.ok()) << config.status();
}

TEST(Config, AMissingFileIsNamed) {
  const auto config = load_config("/nonexistent/pop.yaml");
  EXPECT_EQ(config.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(config.status().message()), testing::HasSubstr("/nonexistent/pop.yaml"));
}

// One change to the good file, and the one line it must give.
struct BadCase {
  const char* name;
  const char* from;
  const char* to;
  const char* message;
};

void PrintTo(const BadCase& row, std::ostream* out) { *out << row.name; }

class BadConfig : public testing::TestWithParam<BadCase> {};

TEST_P(BadConfig, GivesOneLineWithFileLineKeyFoundAndExpected) {
  const std::string text = absl::StrReplaceAll(kGood, {{GetParam().from, GetParam().to}});
  ASSERT_NE(text, kGood);
  const auto config = parse(text);
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(std::string(config.status().message()), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadConfig,
    testing::Values(
        BadCase{"UnknownKey", "    port: 80", "    prot: 80",
                "pop.yaml:10: services[0].prot: found an unknown key, expected one of backends, combine, forwarding, "
                "gue_port, gue_zero_checksum, hash, max_ejected_percent, name, network_bits, panic_percent, port, "
                "probe, probes, protocol, quic, slow_start_ms, table_size, track, tunnel_mtu, tunnel_source, vip"},
        BadCase{"SecondDocument", "services: [dns6]}\n", "services: [dns6]}\n---\nmonitor: {}\n",
                "pop.yaml:26: found a second YAML document, expected the file to end with the first"},
        BadCase{"TrailingText", "services: [dns6]}\n", "services: [dns6]}\n...\nnonsense\n",
                "pop.yaml:26: found a second YAML document, expected the file to end with the first"},
        BadCase{"RepeatedKey", "pop: ams", "pop: ams\npop: fra",
                "pop.yaml:2: pop: found the key a second time, expected it once"},
        BadCase{"WrongType", "port: 80", "port: http",
                "pop.yaml:10: services[0].port: found 'http', expected a whole number from 1 to 65535, a range such "
                "as 8000-8099, or any"},
        BadCase{"OutOfRange", "port: 80", "port: 65536",
                "pop.yaml:10: services[0].port: found '65536', expected a whole number from 1 to 65535, a range such "
                "as 8000-8099, or any"},
        BadCase{"ListInsteadOfValue", "vip: 198.51.100.1", "vip: [198.51.100.1]",
                "pop.yaml:8: services[0].vip: found a list, expected a single value"},
        BadCase{"NotAnAddress", "vip: 198.51.100.1", "vip: 198.51.100",
                "pop.yaml:8: services[0].vip: found '198.51.100', expected an IPv4 or IPv6 address"},
        BadCase{"MissingKey", "    vip: 198.51.100.1\n", "",
                "pop.yaml:7: services[0].vip: found nothing, expected a value"},
        BadCase{"VipInNoAnnouncement", "vip: 2001:db8:53::53", "vip: 2001:db8:54::53",
                "pop.yaml:24: announcements[1].services: found 'dns6', expected its VIP 2001:db8:54::53 to lie inside "
                "one of "
                "the prefixes"},
        BadCase{
            "UncoveredVip", "  - {name: dns, prefixes: [\"2001:db8:53::/48\"], services: [dns6]}\n", "",
            "pop.yaml:15: services[1].vip: found 2001:db8:53::53, which no announcement covers, expected it inside a "
            "prefix of announcements"},
        BadCase{"DuplicateBackend", "{name: b2, address: 10.0.0.2", "{name: b1, address: 10.0.0.2",
                "pop.yaml:13: services[0].backends[1].name: found 'b1' a second time, expected unique names"},
        BadCase{"DuplicateAddress", "address: 10.0.0.2", "address: 10.0.0.1",
                "pop.yaml:13: services[0].backends[1].address: found 10.0.0.1, which is backend 'b1' already, expected "
                "unique "
                "addresses"},
        BadCase{
            "FamilyMismatch", "address: 10.0.0.2", "address: \"2001:db8::2\"",
            "pop.yaml:13: services[0].backends[1].address: found 2001:db8::2, expected an IPv4 address like the VIP "
            "198.51.100.1 (l2 forwarding keeps the family)"},
        BadCase{"UnknownService", "services: [dns6]", "services: [dns]",
                "pop.yaml:24: announcements[1].services: found 'dns', expected the name of a service"},
        BadCase{"LineBreakInAName", "services: [dns6]", "services: [\"dns\\n6\"]",
                "pop.yaml:24: announcements[1].services: found 'dns\\x0a6', expected the name of a service"},
        BadCase{"LineBreakInAnAddress", "address: 10.0.0.2", "address: \"10.0\\n0.2\"",
                "pop.yaml:13: services[0].backends[1].address: found '10.0\\x0a0.2', expected an IPv4 or IPv6 address"},
        BadCase{"HostBits", "198.51.100.0/24", "198.51.100.1/24",
                "pop.yaml:23: announcements[0].prefixes[0]: found '198.51.100.1/24', expected no bits set behind the "
                "prefix "
                "length"},
        BadCase{"HashKeyIsNotRepeated", "000102030405060708090a0b0c0d0e0f", "secret",
                "pop.yaml:3: dataplane.hash_key: found 6 characters, expected 32 hexadecimal digits (openssl rand -hex "
                "16)"},
        BadCase{"NeitherPortKind", "{name: uplink, af_xdp: eth0}", "{name: uplink}",
                "pop.yaml:5: dataplane.ports[0].name: found a port with 0 of af_xdp, vdev and pci, expected "
                "one of "
                "them"},
        BadCase{"PciAddress", "af_xdp: eth0", "pci: 3b:00.0",
                "pop.yaml:5: dataplane.ports[0].pci: found '3b:00.0', expected an address such as 0000:3b:00.0"},
        BadCase{"KernelOfAnAfXdpPort", "af_xdp: eth0", "af_xdp: eth0, kernel: up0",
                "pop.yaml:5: dataplane.ports[0].kernel: found it with af_xdp, where the kernel keeps its interface, "
                "expected it only with pci or vdev"},
        BadCase{"KernelIsNoName", "af_xdp: eth0", "vdev: net_null0, kernel: a/b",
                "pop.yaml:5: dataplane.ports[0].kernel: found 'a/b', expected the name of an interface, of 1 to 15 "
                "letters, digits, . _ or -"},
        BadCase{"TunnelWithoutSource", "port: 80", "port: 80\n    forwarding: ipip",
                "pop.yaml:7: services[0].tunnel_source: found no IPv4 prefix, expected one: the tunnel to backend 'b1' "
                "at 10.0.0.1 needs a source"},
        BadCase{"TwoSourcesOfAFamily", "port: 80",
                "port: 80\n    forwarding: gre\n    tunnel_source: [10.0.0.0/24, 10.0.1.0/24]",
                "pop.yaml:7: services[0].tunnel_source: found 2 IPv4 prefixes, expected at most one"},
        BadCase{"TunnelKeyWithoutTunnel", "port: 80", "port: 80\n    tunnel_mtu: 9000",
                "pop.yaml:11: services[0].tunnel_mtu: found it with forwarding: l2, expected it only with ipip, gre or "
                "gue"},
        BadCase{"GueKeyWithoutGue", "port: 80", "port: 80\n    forwarding: gre\n    gue_port: 1",
                "pop.yaml:12: services[0].gue_port: found it with forwarding: gre, expected it only with gue"},
        BadCase{"SmallTunnelMtu", "port: 80", "port: 80\n    forwarding: gre\n    tunnel_mtu: 1280",
                "pop.yaml:12: services[0].tunnel_mtu: found '1280', expected a whole number from 1332 to 65535"},
        BadCase{"RangeBackwards", "port: 80", "port: 80-79",
                "pop.yaml:10: services[0].port: found '80-79', expected a whole number from 1 to 65535, a range such "
                "as 8000-8099, or any"},
        BadCase{"AnyPortNeedsAProbePort", "    port: 53", "    port: any",
                "pop.yaml:15: services[1].probe.port: found nothing, expected a port, because port is any"},
        BadCase{"SharedPort", "  - name: dns6\n    vip: 2001:db8:53::53\n    protocol: udp\n    port: 53",
                "  - name: dns6\n    vip: 198.51.100.1\n    protocol: tcp\n    port: 70-90",
                "pop.yaml:15: services[1].vip: found 198.51.100.1 tcp/70-90, which is service 'web4' already, expected "
                "unique endpoints"},
        BadCase{"VipPrefixWiderThanItsAnnouncement", "vip: 198.51.100.1", "vip: 198.51.0.0/16",
                "pop.yaml:23: announcements[0].prefixes: found no service inside the prefixes of 'web', expected at "
                "least one"},
        BadCase{"VipPrefixWithHostBits", "vip: 198.51.100.1", "vip: 198.51.100.1/24",
                "pop.yaml:8: services[0].vip: found '198.51.100.1/24', expected no bits set behind the prefix length"},
        BadCase{"NetworkBitsWithoutNetwork", "port: 80", "port: 80\n    hash: source\n    network_bits: 20",
                "pop.yaml:12: services[0].network_bits: found it without hash: source_network, expected it only with "
                "that"},
        BadCase{"QuicOverTcp", "port: 80", "port: 80\n    quic: {config_id: 0, server_id_bytes: 1}",
                "pop.yaml:7: services[0].quic: found it with protocol: tcp, expected udp"},
        BadCase{"QuicConfigForUnroutableIds", "port: 53", "port: 53\n    quic: {config_id: 7, server_id_bytes: 1}",
                "pop.yaml:19: services[1].quic.config_id: found '7', expected a whole number from 0 to 6"},
        BadCase{"QuicConfigTwice", "port: 53",
                "port: 53\n    quic: [{config_id: 2, server_id_bytes: 1}, {config_id: 2, server_id_bytes: 3}]",
                "pop.yaml:15: services[1].quic: found config_id 2 a second time, expected unique ones"},
        BadCase{"QuicServerIdTooLong", "port: 53", "port: 53\n    quic: {config_id: 0, server_id_bytes: 16}",
                "pop.yaml:19: services[1].quic.server_id_bytes: found '16', expected a whole number from 1 to 15"},
        BadCase{"QuicWithoutServerId", "port: 53", "port: 53\n    quic: {config_id: 0, server_id_bytes: 1}",
                "pop.yaml:21: services[1].backends[0].server_id: found none of 1 bytes, expected one, because the "
                "service has quic"},
        BadCase{"ServerIdWithoutQuic", "{name: b1, address: 10.0.0.1}", "{name: b1, address: 10.0.0.1, server_id: 01}",
                "pop.yaml:12: services[0].backends[0].server_id: found it without quic in the service, expected it "
                "only with that"},
        BadCase{
            "ServerIdOfAnotherLength", "port: 53\n    backends:\n      - {name: b1,",
            "port: 53\n    quic: {config_id: 0, server_id_bytes: 2}\n    backends:\n      - {server_id: 0A, name: b1,",
            "pop.yaml:21: services[1].backends[0].server_id: found '0a', which has 1 bytes, expected 2 "
            "(server_id_bytes of the service's quic)"},
        BadCase{"ServerIdTwice", "port: 53\n    backends:\n      - {name: b1,",
                "port: 53\n    quic: {config_id: 0, server_id_bytes: 1}\n    backends:\n"
                "      - {name: b0, address: \"2001:db8::b0\", server_id: 0A}\n      - {server_id: 0a, name: b1,",
                "pop.yaml:22: services[1].backends[1].server_id: found '0a', which is backend 'b0' already, expected "
                "unique server IDs"},
        BadCase{"ServerIdNoHex", "{name: b1, address: 10.0.0.1}", "{name: b1, address: 10.0.0.1, server_id: 0x01}",
                "pop.yaml:12: services[0].backends[0].server_id: found '0x01', expected 1 to 15 bytes in hexadecimal "
                "digits"},
        BadCase{"ProbeSourcesOfAVip", "  hash_key", "  probe_sources: [198.51.100.0/28]\n  hash_key",
                "pop.yaml:3: dataplane.probe_sources: found 198.51.100.0/28, which overlaps the VIP of service 'web4', "
                "expected addresses of nobody else"},
        BadCase{"ProbeSourcesOfABackend", "  hash_key", "  probe_sources: [10.0.0.0/28]\n  hash_key",
                "pop.yaml:3: dataplane.probe_sources: found 10.0.0.0/28, which has the address of backend 'b1', "
                "expected addresses of nobody else"},
        BadCase{"ProbeSourcesTwice", "  hash_key", "  probe_sources: [10.9.0.0/28, 10.8.0.0/28]\n  hash_key",
                "pop.yaml:3: dataplane.probe_sources: found 10.8.0.0/28 beside another IPv4 prefix, expected one of "
                "each family at most"},
        BadCase{"ProbeSourcesTooFew", "  hash_key", "  probe_sources: [10.9.0.0/31]\n  hash_key",
                "pop.yaml:3: dataplane.probe_sources: found 10.9.0.0/31, which has room for 0 backends, expected a "
                "shorter prefix for the 2 of service 'web4'"},
        BadCase{"PortsOfUnequalQueues", "    - {name: uplink, af_xdp: eth0}",
                "    - {name: uplink, af_xdp: eth0}\n    - {name: other, af_xdp: eth1, queues: 2}",
                "pop.yaml:6: dataplane.ports[1].queues: found 2, expected 1 as for port 'uplink': all ports have the "
                "same number"},
        BadCase{"ProbeInterfaceIsAPort", "  hash_key",
                "  probe_interface: eth0\n  probe_sources: [10.9.0.0/24]\n  hash_key",
                "pop.yaml:7: dataplane.ports[0].af_xdp: found 'eth0', which is dataplane.probe_interface, expected "
                "another interface"},
        BadCase{"NotPrime", "port: 80", "port: 80\n    table_size: 65536",
                "pop.yaml:7: services[0].table_size: found 65536, expected a prime such as 65537"},
        BadCase{"BadName", "name: web4", "name: \"web 4\"",
                "pop.yaml:7: services[0].name: found 'web 4', expected a name of lower-case letters, digits and inner "
                "hyphens, at most 32 characters"},
        BadCase{
            "RequiredServices", "services: [dns6]", "required_services: most",
            "pop.yaml:24: announcements[1].required_services: found 'most', expected all, any or a whole number from "
            "1 to 10000"},
        BadCase{"MoreServicesThanThereAre", "services: [dns6]", "required_services: 2",
                "pop.yaml:24: announcements[1].required_services: found 2, expected at most its services, 1"},
        BadCase{"DrainBelowWithdraw", "services: [dns6]", "min_healthy_percent: 60, drain_below_percent: 60",
                "pop.yaml:24: announcements[1].drain_below_percent: found 60, expected more than min_healthy_percent, "
                "60, which withdraws"},
        BadCase{
            "ReuseAboveLatch", "services: [dns6]", "flaps: {latch_penalty: 2000, reuse_penalty: 2000}",
            "pop.yaml:24: announcements[1].flaps.reuse_penalty: found 2000, expected less than latch_penalty, 2000"},
        BadCase{"IfMonitorLost", "services: [dns6]", "if_monitor_lost: panic",
                "pop.yaml:24: announcements[1].if_monitor_lost: found 'panic', expected withdraw or keep"},
        BadCase{"CanaryWithAHealthKey", "services: [dns6]", "canary: true, hold_down_ms: 1",
                "pop.yaml:24: announcements[1].hold_down_ms: found it with canary: true, expected it only without: a "
                "canary is always announced"},
        BadCase{"AVipInACanaryOnly", "services: [dns6]", "canary: true",
                "pop.yaml:15: services[1].vip: found 2001:db8:53::53, which no announcement covers, expected it inside "
                "a prefix of announcements"},
        BadCase{"BirdAndBirds", "dataplane:\n", "bird: {}\nbirds: [{socket: /a, families: [ipv4]}]\ndataplane:\n",
                "pop.yaml:3: birds: found it beside bird, expected one of them"},
        BadCase{"BirdsWithoutFamilies", "dataplane:\n", "birds: [{socket: /a}]\ndataplane:\n",
                "pop.yaml:2: birds[0].families: found nothing, expected a list"},
        BadCase{"UnknownFamily", "dataplane:\n", "birds: [{socket: /a, families: [inet]}]\ndataplane:\n",
                "pop.yaml:2: birds[0].families[0]: found 'inet', expected ipv4 or ipv6"},
        BadCase{"AFamilyInTwoBirds", "dataplane:\n",
                "birds:\n  - {socket: /a, families: [ipv4]}\n  - {socket: /b, families: [ipv6, ipv4]}\ndataplane:\n",
                "pop.yaml:4: birds[1].families: found IPv4 a second time, expected each family in one BIRD"},
        BadCase{"OneSocketForTwoBirds", "dataplane:\n",
                "birds:\n  - {socket: /a, families: [ipv4]}\n  - {socket: /a, families: [ipv6]}\ndataplane:\n",
                "pop.yaml:4: birds[1].socket: found '/a' a second time, expected a socket each"},
        BadCase{"AFamilyWithoutBird", "dataplane:\n", "birds: [{socket: /a, families: [ipv4]}]\ndataplane:\n",
                "pop.yaml:25: announcements[1].prefixes: found 2001:db8:53::/48, expected one of birds to have family "
                "ipv6"},
        BadCase{"UnknownProbe", "{type: tcp}", "{type: icmp}",
                "pop.yaml:21: services[1].probe.type: found 'icmp', expected tcp or http or https or dns or udp or "
                "exec or grpc"},
        BadCase{"NotYaml", "pop: ams", "pop: [ams",
                "pop.yaml:2: found text that is not YAML (end of sequence flow not found), expected a mapping"}),
    [](const auto& row) { return row.param.name; });

TEST(Config, ReadsWhatAnAnnouncementNeeds) {
  const auto config = parse(absl::StrReplaceAll(
      kGood, {{"services: [dns6]",
               "services: [dns6], required_services: any, min_healthy_percent: 30, drain_below_percent: 60, "
               "return_margin_percent: 5, min_sessions: 2, keep_last: true, if_monitor_lost: keep, "
               "flaps: {half_life_s: 60, latch_penalty: 3000, reuse_penalty: 0, hold_down_max_ms: 1000}"},
              {"announcements:\n", "announcements:\n  - {name: canary, prefixes: [203.0.113.0/24], canary: true}\n"}}));
  ASSERT_TRUE(config.ok()) << config.status();
  const AnnouncementConfig& dns = *config->find_announcement("dns");
  EXPECT_EQ(dns.required_services, 1U);
  EXPECT_EQ(dns.drain_below_percent, 60U);
  EXPECT_EQ(dns.return_margin_percent, 5U);
  EXPECT_EQ(dns.min_sessions, 2U);
  EXPECT_TRUE(dns.keep_last);
  EXPECT_EQ(dns.if_monitor_lost, MonitorLost::kKeep);
  EXPECT_EQ(dns.flaps, (FlapConfig{60, 3000, 0, 1000}));
  EXPECT_EQ(config->find_announcement("web")->required_services, 0U);
  EXPECT_EQ(config->find_announcement("web")->if_monitor_lost, MonitorLost::kWithdraw);
  const AnnouncementConfig& canary = *config->find_announcement("canary");
  EXPECT_TRUE(canary.canary);
  EXPECT_TRUE(canary.services.empty());
  EXPECT_EQ(canary.if_monitor_lost, MonitorLost::kKeep);
}

TEST(Config, ReadsABirdForEachFamily) {
  EXPECT_EQ(parse(kGood)->birds, std::vector<BirdConfig>{BirdConfig{}});
  const auto config =
      parse(absl::StrReplaceAll(kGood, {{"dataplane:\n",
                                         "birds:\n  - {socket: /run/bird4.ctl, families: [ipv4], local_as: 64512}\n"
                                         "  - {socket: /run/bird6.ctl, families: [ipv6]}\ndataplane:\n"}}));
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->birds.size(), 2U);
  EXPECT_EQ(config->bird_of(Family::kV4).socket, "/run/bird4.ctl");
  EXPECT_EQ(config->bird_of(Family::kV4).local_as, 64512U);
  EXPECT_EQ(config->bird_of(Family::kV6).socket, "/run/bird6.ctl");
}

TEST(Config, TextThatIsNoMapping) {
  EXPECT_EQ(message(parse("").status()), "pop.yaml: found nothing, expected a mapping");
  EXPECT_EQ(message(parse("- a").status()), "pop.yaml:1: found a list, expected a mapping");
}

}  // namespace
}  // namespace anypop
