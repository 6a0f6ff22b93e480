// SPDX-License-Identifier: Apache-2.0
#include <ostream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/config.h"
#include "base/probe_config.h"
#include "base/text.h"

namespace anypop {
namespace {

using testing::ElementsAre;

absl::StatusOr<PopConfig> parse(const std::string& probes, const std::string& port = "53") {
  return parse_config(fmt::format(R"(pop: ams
dataplane: {{hash_key: 000102030405060708090a0b0c0d0e0f, ports: [{{name: uplink, af_xdp: eth0}}]}}
announcements: [{{name: web, prefixes: [198.51.100.0/24]}}]
services:
  - name: web4
    vip: 198.51.100.1
    protocol: udp
    port: {}
    backends: [{{name: b1, address: 10.0.0.1}}]
    {}
)",
                                  port, probes),
                      "pop.yaml");
}

ServiceConfig service(const std::string& probes) {
  const auto config = parse(probes);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? config->services.at(0) : ServiceConfig{};
}

TEST(ProbeConfig, ReadsEveryKindAndItsDefaults) {
  const ServiceConfig read = service(R"(combine: 2
    probes:
      - {type: tcp, port: 179}
      - {type: https, method: HEAD, path: /ok, host: www.example.com, headers: ["X-Probe: 1"],
         expected_status: [200-299, 404], tls_verify: false, tls_ca_file: /ca.pem, tls_server_name: a.example.com}
      - {type: http, expected_body: "^ok$", expected_status: 204}
      - {type: dns, query: www.Example.com., query_type: AAAA, expected_rcode: NXDOMAIN, expected_answer: "2001:db8::1"}
      - {type: udp, payload: ping, expected_prefix_hex: "00ff"}
      - {type: exec, name: own, command: [/bin/true, -x]}
      - {type: grpc, grpc_service: a.b, tls: true, interval_ms: 2000, fast_interval_ms: 100, down_interval_ms: 9000,
         jitter_percent: 0}
      - {type: tcp})");
  ASSERT_EQ(read.probes.size(), 8U);
  EXPECT_EQ(read.probes_needed, 2U);
  EXPECT_EQ(read.probes[0].port, 179);
  EXPECT_EQ(read.probes[0].fast_ms(), 500U) << "half";
  EXPECT_EQ(read.probes[0].down_ms(), 1000U);
  EXPECT_THAT(read.probes[1].http.expected_status, ElementsAre(StatusRange{200, 299}, StatusRange{404, 404}));
  EXPECT_THAT(read.probes[1].http.headers, ElementsAre("X-Probe: 1"));
  EXPECT_TRUE(read.probes[1].tls.enabled);
  EXPECT_FALSE(read.probes[1].tls.verify);
  EXPECT_EQ(read.probes[1].tls.server_name, "a.example.com");
  EXPECT_THAT(read.probes[2].http.expected_status, ElementsAre(StatusRange{204, 204}));
  EXPECT_EQ(read.probes[3].dns.name, "www.Example.com");
  EXPECT_EQ(read.probes[3].dns.type, 28);
  EXPECT_EQ(read.probes[3].dns.rcode, 3);
  EXPECT_EQ(read.probes[3].port, 53);
  EXPECT_EQ(read.probes[4].udp.expected_prefix, std::string("\0\xff", 2));
  EXPECT_THAT(read.probes[5].exec.command, ElementsAre("/bin/true", "-x"));
  EXPECT_EQ(read.probes[6].fast_ms(), 100U);
  EXPECT_EQ(read.probes[6].down_ms(), 9000U);
  std::vector<std::string> names;
  for (const ProbeConfig& probe : read.probes) names.push_back(probe.name);
  EXPECT_THAT(names, ElementsAre("tcp", "https", "http", "dns", "udp", "own", "grpc", "tcp-2"));
}

TEST(ProbeConfig, CombinesAllUnlessTold) {
  EXPECT_EQ(service("probes: [{type: tcp}, {type: tcp}]").probes_needed, 2U);
  EXPECT_EQ(service("combine: any\n    probes: [{type: tcp}, {type: tcp}]").probes_needed, 1U);
  EXPECT_EQ(service("combine: all\n    probes: [{type: tcp}, {type: tcp}]").probes_needed, 2U);
}

struct BadProbe {
  const char* name;
  const char* text;
  const char* error;
};
std::ostream& operator<<(std::ostream& out, const BadProbe& row) { return out << row.name; }

class BadProbes : public testing::TestWithParam<BadProbe> {};

TEST_P(BadProbes, AreNamed) {
  EXPECT_EQ(message(parse(GetParam().text).status()), std::string("pop.yaml:10: services[0].") + GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    , BadProbes,
    testing::Values(
        BadProbe{"TooManyNeeded", "combine: 2\n    probes: [{type: tcp}]",
                 "combine: found '2', expected all, any, or how many of the 1 probes must be good"},
        BadProbe{
            "Status", "probe: {type: http, expected_status: 200-100}",
            "probe.expected_status: found '200-100', expected a status from 100 to 599, or a range such as 200-299"},
        BadProbe{"Header", "probe: {type: http, headers: [\"a b: c\"]}",
                 "probe.headers[0]: found 6 characters, expected a header such as 'Accept: text/plain'"},
        BadProbe{"Expression", "probe: {type: http, expected_body: \"a(\"}",
                 "probe.expected_body: found 'a(' (missing ): a(), expected an RE2 expression"},
        BadProbe{"BodyOfHead", "probe: {type: http, method: HEAD, expected_body: a}",
                 "probe.expected_body: found it with method: HEAD, which has no body; expected GET"},
        BadProbe{"KeyOfAnother", "probe: {type: tcp, path: /}",
                 "probe.path: found an unknown key, expected one of down_interval_ms, fall, fast_interval_ms, "
                 "interval_ms, jitter_percent, name, port, rise, timeout_ms, type, via"},
        BadProbe{"DnsName", "probe: {type: dns, query: a..b}", "probe.query: found 'a..b', expected a domain name"},
        BadProbe{"DnsType", "probe: {type: dns, query_type: ANY}",
                 "probe.query_type: found 'ANY', expected one of A, NS, CNAME, SOA, PTR, MX, TXT, AAAA"},
        BadProbe{"Hex", "probe: {type: udp, payload_hex: abc}",
                 "probe.payload_hex: found 'abc', expected pairs of hexadecimal digits"},
        BadProbe{"TwoPayloads", "probe: {type: udp, payload: a, payload_hex: ab}",
                 "probe.payload: found it and payload_hex, expected one of them"},
        BadProbe{"NoCommand", "probe: {type: exec}", "probe.command: found nothing, expected a list"},
        BadProbe{"Shell", "probe: {type: exec, command: [curl, x]}",
                 "probe.command: found 'curl', expected an absolute path first"},
        BadProbe{"SlowerFast", "probe: {type: tcp, interval_ms: 100, fast_interval_ms: 101}",
                 "probe.fast_interval_ms: found 101, expected at most interval_ms, 100"},
        BadProbe{"CombineOne", "combine: all\n    probe: {type: tcp}",
                 "combine: found it with one probe, expected it only with a list of probes"},
        BadProbe{"Via", "probe: {type: dns, via: router}", "probe.via: found 'router', expected direct or dataplane"},
        BadProbe{"Both", "probe: {type: tcp}\n    probes: [{type: tcp}]",
                 "probe: found it and probes, expected one of them"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace anypop
