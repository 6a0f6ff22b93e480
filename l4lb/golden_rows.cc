// SPDX-License-Identifier: Apache-2.0
#include "golden_rows.h"

#include <iterator>
#include <utility>

namespace anypop::l4lb {

using l4lb_testing::eth;
using l4lb_testing::Frame;
using l4lb_testing::IpFields;
using l4lb_testing::PacketBuilder;
using l4lb_testing::TcpFields;

namespace {

struct Addresses {
  const char* vip;
  const char* other_vip;  // of one service only: tcp 80
  const char* neighbour;  // next to the VIP, but none
  const char* backend;
};
constexpr Addresses kV4Addresses = {"198.51.100.1", "198.51.100.2", "198.51.100.3", "10.1.0."};
constexpr Addresses kV6Addresses = {"2001:db8:53::1", "2001:db8:53::2", "2001:db8:53::3", "2001:db8:a::"};

const Addresses& addresses(Family family) { return family == Family::kV4 ? kV4Addresses : kV6Addresses; }

ServiceConfig service(const std::string& name, Family family, Protocol protocol, std::uint16_t port,
                      const std::vector<unsigned>& weights) {
  ServiceConfig config{.name = name, .protocol = protocol, .port = port};
  config.vip = *IpAddress::parse(addresses(family).vip);
  config.table_size = 251;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    config.backends.push_back({.name = "b" + std::to_string(i),
                               .address = *IpAddress::parse(addresses(family).backend + std::to_string(11 + i)),
                               .weight = weights[i]});
  }
  return config;
}

ServiceConfig tunnel_service(GoldenService which, const std::string& suffix, Family family) {
  ServiceConfig made = service("tunnel" + std::to_string(which) + "-" + suffix, family, Protocol::kTcp,
                               static_cast<std::uint16_t>(4000 + which - kIpip4), {1});
  const bool outer_v6 = which == kIpip6 || which == kGre6 || which == kGue6 || which == kGue6Zero;
  made.backends[0].address = *IpAddress::parse(outer_v6 ? "2001:db8:9::1" : "10.9.0.1");
  made.forwarding = which == kGre4 || which == kGre6                         ? Forwarding::kGre
                    : which == kGue4 || which == kGue6 || which == kGue6Zero ? Forwarding::kGue
                                                                             : Forwarding::kIpip;
  const bool spread = which == kIpip4 || which == kIpip6;
  made.tunnel.sources = {*IpPrefix::parse(spread ? "172.16.0.0/16" : "172.31.0.7/32"),
                         *IpPrefix::parse(spread ? "2001:db8:f::/64" : "2001:db8:e::7/128")};
  made.tunnel.gue_zero_checksum = which == kGue6Zero;
  if (which == kGue6Zero) made.tunnel.gue_port = 16080;
  if (which == kSmallMtu) made.tunnel.mtu_bytes = 1400;
  return made;
}

// Of many ports, of many addresses, or hashed by less than the flow.
void add_wide_services(Family family, const std::string& suffix, std::vector<ServiceConfig>& services) {
  const bool v4 = family == Family::kV4;
  const auto add = [&](const char* name, Protocol protocol, std::uint16_t first, std::uint16_t last) -> ServiceConfig& {
    services.push_back(service(name + suffix, family, protocol, first, {1}));
    services.back().last_port = last;
    return services.back();
  };
  add("range", Protocol::kTcp, 5000, 5009);
  add("any", Protocol::kUdp, 0, 65535);
  const auto on_prefix = [&](ServiceConfig& made) {
    made.vip = *IpAddress::parse(v4 ? "203.0.113.0" : "2001:db8:54::");
    made.vip_prefix_bits = v4 ? 25 : 64;
  };
  on_prefix(add("prefix", Protocol::kTcp, 80, 0));
  on_prefix(add("prefix-range", Protocol::kTcp, 90, 99));
  add("inside", Protocol::kTcp, 80, 0).vip = *IpAddress::parse(v4 ? "203.0.113.7" : "2001:db8:54::7");
  services.push_back(service("by-source" + suffix, family, Protocol::kTcp, 6000, {2, 1, 1}));
  services.back().hash = HashBy::kSource;
  services.push_back(service("by-network" + suffix, family, Protocol::kTcp, 6001, {2, 1, 1}));
  services.back().hash = HashBy::kSourceNetwork;
  services.push_back(service("quic" + suffix, family, Protocol::kUdp, 443, {1, 1, 1}));
  make_golden_quic(services.back());
}

// Addresses that are the monitor's: nobody else may send from them. In the row's name: where they stop.
std::vector<GoldenRow> reserved_rows(Family family) {
  const Addresses& a = addresses(family);
  const bool v4 = family == Family::kV4;
  const auto forwarded = [] { return eth({.destination = kWebMac, .source = kPortMac}); };
  const char* const reserved = v4 ? "10.99.0.7" : "2001:db8:99::7";
  const IpFields first = {.source = v4 ? "10.99.0.0" : "2001:db8:99::", .destination = a.vip};
  const IpFields last = {.source = v4 ? "10.99.0.255" : "2001:db8:99:0:ffff:ffff:ffff:ffff", .destination = a.vip};
  const IpFields before = {.source = v4 ? "10.98.255.255" : "2001:db8:98:ffff:ffff:ffff:ffff:ffff",
                           .destination = a.vip};
  const IpFields behind = {.source = v4 ? "10.99.1.0" : "2001:db8:99:1::", .destination = a.vip};
  return {
      {"reserved source", eth().ip({.source = reserved, .destination = a.vip}).tcp(), Verdict::kDropReservedSource},
      {"reserved source, first", eth().ip(first).tcp(), Verdict::kDropReservedSource},
      {"reserved source, last", eth().ip(last).udp(), Verdict::kDropReservedSource},
      {"before the reserved sources", eth().ip(before).tcp(), Verdict::kForward, kWeb, forwarded().ip(before).tcp()},
      {"behind the reserved sources", eth().ip(behind).tcp(), Verdict::kForward, kWeb, forwarded().ip(behind).tcp()},
      {"reserved source, port without service",
       eth().ip({.source = reserved, .destination = a.vip}).tcp({.destination = 8080}), Verdict::kDropReservedSource},
      {"reserved source to a neighbour", eth().ip({.source = reserved, .destination = a.neighbour}).tcp(),
       Verdict::kPassNotVip},
      {"a neighbour's answer to a reserved address", eth().ip({.source = a.vip, .destination = reserved}).tcp(),
       Verdict::kPassNotVip},
  };
}

BackendState reachable(const std::string& mac) { return {.healthy = true, .next_hop_mac = *MacAddress::parse(mac)}; }

constexpr std::uint16_t kSyn = 0x02;

// Rows that read the same in both families.
std::vector<GoldenRow> common_rows(Family family) {
  const Addresses& a = addresses(family);
  const IpFields vip = {.destination = a.vip};
  const IpFields backend = {.destination = a.neighbour};
  const auto forwarded = [](const char* mac) { return eth({.destination = mac, .source = kPortMac}); };
  return {
      {"tcp segment", eth().ip(vip).tcp().payload(32), Verdict::kForward, kWeb,
       forwarded(kWebMac).ip(vip).tcp().payload(32)},
      {"tcp syn", eth().ip(vip).tcp({.flags = kSyn}), Verdict::kForward, kWeb,
       forwarded(kWebMac).ip(vip).tcp({.flags = kSyn})},
      {"udp datagram", eth().ip(vip).udp().payload(32), Verdict::kForward, kDns,
       forwarded(kDnsMac).ip(vip).udp().payload(32)},
      {"udp without payload, padded to Ethernet's minimum", eth().ip(vip).udp().pad_to(60), Verdict::kForward, kDns,
       forwarded(kDnsMac).ip(vip).udp().pad_to(60)},
      {"much padding", eth().ip(vip).tcp().pad_to(1500), Verdict::kForward, kWeb,
       forwarded(kWebMac).ip(vip).tcp().pad_to(1500)},
      {"TTL 1 is not lowered", eth().ip({.destination = a.vip, .ttl = 1}).tcp(), Verdict::kForward, kWeb,
       forwarded(kWebMac).ip({.destination = a.vip, .ttl = 1}).tcp()},
      {"DSCP and ECN stay", eth().ip({.destination = a.vip, .traffic_class = 0xbb}).tcp(), Verdict::kForward, kWeb,
       forwarded(kWebMac).ip({.destination = a.vip, .traffic_class = 0xbb}).tcp()},
      {"802.1Q tag stays", eth().vlan(7).ip(vip).tcp(), Verdict::kForward, kWeb,
       forwarded(kWebMac).vlan(7).ip(vip).tcp()},
      {"QinQ tags stay", eth().vlan(100, 0x88a8).vlan(7).ip(vip).tcp(), Verdict::kForward, kWeb,
       forwarded(kWebMac).vlan(100, 0x88a8).vlan(7).ip(vip).tcp()},
      {"three tags are nobody's", eth().vlan(1).vlan(2).vlan(3).ip(vip).tcp(), Verdict::kPassNotVip},
      {"a neighbour of the VIP", eth().ip(backend).tcp(), Verdict::kPassNotVip},
      {"other service's VIP, its port", eth().ip({.destination = a.other_vip}).tcp(), Verdict::kForward, kOther,
       forwarded(kWebMac).ip({.destination = a.other_vip}).tcp()},
      {"other service's VIP, not its port", eth().ip({.destination = a.other_vip}).tcp({.destination = 443}),
       Verdict::kDropNoService},
      {"port without service", eth().ip(vip).tcp({.destination = 8080}), Verdict::kDropNoService},
      {"port 0", eth().ip(vip).tcp({.destination = 0}), Verdict::kDropNoService},
      {"service's port, other protocol", eth().ip({.destination = a.other_vip}).udp({.destination = 80}),
       Verdict::kDropNoService},
      {"no healthy backend", eth().ip(vip).tcp({.destination = 81}), Verdict::kDropNoBackend, kDead},
      {"next hop unresolved", eth().ip(vip).tcp({.destination = 82}), Verdict::kDropNextHopUnresolved, kUnresolved},
      {"icmp to a neighbour", eth().ip(backend).icmp({.type = 8}).payload(56), Verdict::kPassNotVip},
      {"GRE to the VIP", eth().ip({.destination = a.vip, .protocol = 47}).payload(40), Verdict::kDropUnsupported},
      {"tcp header cut", eth().ip(vip).tcp().cut_last(1), Verdict::kDropTruncated},
      {"tcp header cut, length adjusted", eth().ip({.destination = a.vip, .protocol = 6}).payload(19),
       Verdict::kDropTruncated},
      {"tcp header completed by padding only", eth().ip({.destination = a.vip, .protocol = 6}).payload(19).pad_to(100),
       Verdict::kDropTruncated},
      {"udp header one byte short", eth().ip({.destination = a.vip, .protocol = 17}).payload(7),
       Verdict::kDropTruncated},
      {"no transport header at all", eth().ip({.destination = a.vip, .protocol = 6}), Verdict::kDropTruncated},
      {"payload cut", eth().ip(vip).tcp().payload(100).cut_last(1), Verdict::kDropTruncated},
      {"the same to a neighbour", eth().ip(backend).tcp().payload(100).cut_last(1), Verdict::kPassNotVip},
      {"wrong IP version", eth().ip({.destination = a.vip, .version = 5}).tcp(), Verdict::kDropMalformed},
      {"the other family's EtherType",
       eth().ip(vip).ether_type(family == Family::kV4 ? 0x86dd : 0x0800).tcp().payload(40), Verdict::kDropMalformed},
      {"IP header cut", eth().ip(vip).cut_to(family == Family::kV4 ? 14 + 19 : 14 + 39), Verdict::kDropTruncated},
      {"no IP header", eth().ip(vip).cut_to(14), Verdict::kDropTruncated},
      {"tag cut", eth().vlan(7).ip(vip).cut_to(17), Verdict::kDropTruncated},
      {"second tag cut", eth().vlan(7).vlan(8).ip(vip).cut_to(21), Verdict::kDropTruncated},
      {"Ethernet header cut", eth().ip(vip).cut_to(13), Verdict::kDropTruncated},
      {"nothing", eth().cut_to(0), Verdict::kDropTruncated},
      {"ARP", eth().ether_type(0x0806).payload(28), Verdict::kPassNotVip},
      {"802.3 length instead of a type", eth().ether_type(38).payload(38), Verdict::kPassNotVip},
  };
}

std::vector<GoldenRow> wide_rows(Family family) {
  const bool v4 = family == Family::kV4;
  std::vector<GoldenRow> rows;
  const auto add = [&](const std::string& name, const char* vip, unsigned protocol, std::uint16_t port, Verdict verdict,
                       GoldenService service = kGoldenServices, const char* mac = "") {
    const auto packet = [&](PacketBuilder start) {
      start.ip({.destination = vip});
      return protocol == 6 ? start.tcp({.destination = port}) : start.udp({.destination = port});
    };
    GoldenRow row{name, packet(eth()), verdict};
    if (verdict == Verdict::kForward) row.service = service;
    if (verdict == Verdict::kForward) row.output = packet(eth({.destination = mac, .source = kPortMac}));
    rows.push_back(row);
  };
  const char* vip = addresses(family).vip;
  add("range, before", vip, 6, 4999, Verdict::kDropNoService);
  add("range, first port", vip, 6, 5000, Verdict::kForward, kRange, kWebMac);
  add("range, last port", vip, 6, 5009, Verdict::kForward, kRange, kWebMac);
  add("range, behind", vip, 6, 5010, Verdict::kDropNoService);
  add("range, other protocol has any port", vip, 17, 5000, Verdict::kForward, kAny, kDnsMac);
  add("any port, 0", vip, 17, 0, Verdict::kForward, kAny, kDnsMac);
  add("any port, 65535", vip, 17, 65535, Verdict::kForward, kAny, kDnsMac);
  add("any port, but one is another service's", vip, 17, 53, Verdict::kForward, kDns, kDnsMac);
  const char* first = v4 ? "203.0.113.0" : "2001:db8:54::";
  const char* last = v4 ? "203.0.113.127" : "2001:db8:54::ffff:ffff:ffff:ffff";
  const char* inside = v4 ? "203.0.113.7" : "2001:db8:54::7";
  add("prefix, first address", first, 6, 80, Verdict::kForward, kPrefix, kWebMac);
  add("prefix, last address", last, 6, 80, Verdict::kForward, kPrefix, kWebMac);
  add("prefix, range of ports", last, 6, 95, Verdict::kForward, kPrefixRange, kDnsMac);
  add("prefix, port without service", last, 6, 81, Verdict::kDropNoService);
  add("prefix, address behind", v4 ? "203.0.113.128" : "2001:db8:54:1::", 6, 80, Verdict::kPassNotVip);
  add("prefix, address before", v4 ? "203.0.112.255" : "2001:db8:53:ffff::", 6, 80, Verdict::kPassNotVip);
  add("inside a prefix, own service", inside, 6, 80, Verdict::kForward, kInside, kDnsMac);
  add("inside a prefix, the prefix's service", inside, 6, 95, Verdict::kForward, kPrefixRange, kDnsMac);
  return rows;
}

// Which backend of several: by names, weights and the key alone, so the same on every machine and for ever.
std::vector<GoldenRow> choice_rows(Family family) {
  const bool v4 = family == Family::kV4;
  const char* const vip = addresses(family).vip;
  std::vector<GoldenRow> rows;
  const auto add = [&](const std::string& name, const char* source, std::uint16_t source_port, GoldenService service,
                       std::uint16_t backend) {
    const auto packet = [&](PacketBuilder start) {
      start.ip({.source = source, .destination = vip});
      if (service == kQuic) return start.udp({.source = source_port, .destination = 443});
      return start.tcp(
          {.source = source_port, .destination = service == kBySource ? std::uint16_t{6000} : std::uint16_t{6001}});
    };
    const char* const macs[] = {"02:00:00:00:00:21", "02:00:00:00:00:22", "02:00:00:00:00:23"};
    const char* const mac = service == kQuic ? kWebMac : macs[backend];
    rows.push_back({name,
                    packet(eth()),
                    Verdict::kForward,
                    service,
                    packet(eth({.destination = mac, .source = kPortMac})),
                    {},
                    backend});
  };
  const char* const here = v4 ? "192.0.2.10" : "2001:db8:c:100::10";
  const char* const beside = v4 ? "192.0.2.14" : "2001:db8:c:100::14";
  const char* const far = v4 ? "192.0.2.200" : "2001:db8:c:1ff:ffff::1";  // of the same /24 or /56
  const char* const elsewhere = v4 ? "192.0.7.10" : "2001:db8:c:300::10";
  const std::uint16_t one = v4 ? 1 : 2;
  const std::uint16_t another = v4 ? 2 : 1;
  add("by source, a port", here, 1000, kBySource, one);
  add("by source, another port of the same source", here, 60000, kBySource, one);
  add("by source, another source of the same network", beside, 1000, kBySource, another);
  add("by network, a source", here, 1000, kByNetwork, one);
  add("by network, another source of the same network", far, 2000, kByNetwork, one);
  add("by network, another network", elsewhere, 1000, kByNetwork, another);
  // One backend of weight 0 drains, one is down: whatever the flow, it is the third one's.
  for (std::uint16_t port = 1; port <= 8; ++port) {
    add("weight 0 gets no new flow, " + std::to_string(port), here, port, kQuic, kServing);
  }
  return rows;
}

std::vector<GoldenRow> v4_rows() {
  const char* vip = kV4Addresses.vip;
  const auto forwarded = [] { return eth({.destination = kWebMac, .source = kPortMac}); };
  return {
      {"options", eth().ip({.destination = vip, .option_bytes = 4}).tcp(), Verdict::kForward, kWeb,
       forwarded().ip({.destination = vip, .option_bytes = 4}).tcp()},
      {"most options", eth().ip({.destination = vip, .option_bytes = 40}).tcp(), Verdict::kForward, kWeb,
       forwarded().ip({.destination = vip, .option_bytes = 40}).tcp()},
      {"don't fragment", eth().ip({.destination = vip, .dont_fragment = true}).tcp(), Verdict::kForward, kWeb,
       forwarded().ip({.destination = vip, .dont_fragment = true}).tcp()},
      {"later fragment", eth().ip({.destination = vip, .protocol = 6, .fragment_offset = 1}).payload(8),
       Verdict::kDropFragmentOrphan},
      {"fragment of ICMP", eth().ip({.destination = vip, .protocol = 1, .fragment_offset = 1}).payload(8),
       Verdict::kDropFragmentOrphan},
      {"fragment to a neighbour",
       eth().ip({.destination = kV4Addresses.neighbour, .more_fragments = true}).tcp().payload(8),
       Verdict::kPassNotVip},
      {"header length 4 words", eth().ip({.destination = vip, .ihl = 4}).tcp(), Verdict::kDropMalformed},
      {"header length 0", eth().ip({.destination = vip, .ihl = 0}).tcp(), Verdict::kDropMalformed},
      {"header length 4 words to a neighbour", eth().ip({.destination = kV4Addresses.neighbour, .ihl = 4}).tcp(),
       Verdict::kPassNotVip},
      {"header longer than the packet", eth().ip({.destination = vip, .ihl = 15}).tcp(), Verdict::kDropMalformed},
      {"header longer than the frame", eth().ip({.destination = vip, .length = 60, .ihl = 15}).tcp(),
       Verdict::kDropTruncated},
      {"total length under the header's", eth().ip({.destination = vip, .length = 19}).tcp(), Verdict::kDropMalformed},
      {"total length 0", eth().ip({.destination = vip, .length = 0}).tcp(), Verdict::kDropMalformed},
      {"total length over the frame", eth().ip({.destination = vip, .length = 41}).tcp(), Verdict::kDropTruncated},
      {"ports inside the frame, but behind the total length", eth().ip({.destination = vip, .length = 39}).tcp(),
       Verdict::kDropTruncated},
  };
}

PacketBuilder with_extensions(PacketBuilder builder, unsigned count) {
  for (unsigned i = 0; i < count; ++i) builder.destination_options();
  return builder.tcp();
}

std::vector<GoldenRow> v6_rows() {
  const IpFields vip = {.destination = kV6Addresses.vip};
  const auto forwarded = [] { return eth({.destination = kWebMac, .source = kPortMac}); };
  return {
      {"hop-by-hop options", eth().ip(vip).hop_by_hop().tcp(), Verdict::kForward, kWeb,
       forwarded().ip(vip).hop_by_hop().tcp()},
      {"long destination options", eth().ip(vip).destination_options(264).tcp(), Verdict::kForward, kWeb,
       forwarded().ip(vip).destination_options(264).tcp()},
      {"all in order", eth().ip(vip).hop_by_hop().destination_options().routing(24).destination_options().tcp(),
       Verdict::kForward, kWeb,
       forwarded().ip(vip).hop_by_hop().destination_options().routing(24).destination_options().tcp()},
      {"six extension headers", with_extensions(eth().ip(vip), 6), Verdict::kForward, kWeb,
       with_extensions(forwarded().ip(vip), 6)},
      {"seven extension headers", with_extensions(eth().ip(vip), 7), Verdict::kDropUnsupported},
      {"hop-by-hop options, but not first", eth().ip(vip).destination_options().hop_by_hop().tcp(),
       Verdict::kDropUnsupported},
      {"options cut", eth().ip({.destination = kV6Addresses.vip, .length = 7}).hop_by_hop().tcp(),
       Verdict::kDropTruncated},
      {"options longer than the packet", eth().ip(vip).destination_options(264).cut_to(14 + 40 + 8),
       Verdict::kDropTruncated},
      {"later fragment", eth().ip(vip).fragment({.offset = 1}).payload(8), Verdict::kDropFragmentOrphan},
      {"fragment behind options", eth().ip(vip).hop_by_hop().fragment({.more = true}).tcp(), Verdict::kForward, kWeb,
       forwarded().ip(vip).hop_by_hop().fragment({.more = true}).tcp()},
      {"fragment header cut", eth().ip({.destination = kV6Addresses.vip, .protocol = 44}).payload(7),
       Verdict::kDropTruncated},
      {"atomic fragment", eth().ip(vip).fragment({}).tcp(), Verdict::kForward, kWeb,
       forwarded().ip(vip).fragment({}).tcp()},
      {"fragment to a neighbour", eth().ip({.destination = kV6Addresses.neighbour}).fragment({.more = true}).tcp(),
       Verdict::kPassNotVip},
      {"no next header", eth().ip({.destination = kV6Addresses.vip, .protocol = 59}), Verdict::kDropUnsupported},
      {"IPsec AH is not walked", eth().ip({.destination = kV6Addresses.vip, .protocol = 51}).payload(24),
       Verdict::kDropUnsupported},
      {"payload length over the frame", eth().ip({.destination = kV6Addresses.vip, .length = 21}).tcp(),
       Verdict::kDropTruncated},
      {"payload length 0", eth().ip({.destination = kV6Addresses.vip, .length = 0}).tcp(), Verdict::kDropTruncated},
      {"ports inside the frame, but behind the payload length",
       eth().ip({.destination = kV6Addresses.vip, .length = 19}).tcp(), Verdict::kDropTruncated},
  };
}

}  // namespace

EngineConfig golden_engine() {
  return {.echo_per_second = 1'000'000,
          .too_big_per_second = 1'000'000,
          .flow_records = 4096,
          .probe_sources = {*IpPrefix::parse("10.99.0.0/24"), *IpPrefix::parse("2001:db8:99::/64")}};
}

std::vector<ServiceConfig> golden_services() {
  std::vector<ServiceConfig> services;
  for (const Family family : {Family::kV4, Family::kV6}) {
    const std::string suffix = family == Family::kV4 ? "4" : "6";
    services.push_back(service("web" + suffix, family, Protocol::kTcp, 80, {1}));
    services.push_back(service("dns" + suffix, family, Protocol::kUdp, 53, {1}));
    services.push_back(service("spread" + suffix, family, Protocol::kTcp, 443, {2, 1, 1}));
    services.push_back(service("dead" + suffix, family, Protocol::kTcp, 81, {1, 1}));
    services.push_back(service("unresolved" + suffix, family, Protocol::kTcp, 82, {1}));
    services.push_back(service("other" + suffix, family, Protocol::kTcp, 80, {1}));
    services.back().vip = *IpAddress::parse(addresses(family).other_vip);
    for (unsigned which = kIpip4; which <= kSmallMtu; ++which) {
      services.push_back(tunnel_service(static_cast<GoldenService>(which), suffix, family));
    }
    add_wide_services(family, suffix, services);
  }
  return services;
}

SnapshotInput golden_input() {
  SnapshotInput input{.source_mac = *MacAddress::parse(kPortMac), .generation = 7};
  for (int family = 0; family < 2; ++family) {
    input.backends.push_back({reachable(kWebMac)});
    input.backends.push_back({reachable(kDnsMac)});
    input.backends.push_back(
        {reachable("02:00:00:00:00:21"), reachable("02:00:00:00:00:22"), reachable("02:00:00:00:00:23")});
    input.backends.push_back(
        {BackendState{.healthy = false, .next_hop_mac = *MacAddress::parse(kWebMac)}, BackendState{.healthy = false}});
    input.backends.push_back({BackendState{.healthy = true}});
    input.backends.push_back({reachable(kWebMac)});
    for (unsigned which = kIpip4; which <= kSmallMtu; ++which) input.backends.push_back({reachable(kTunnelMac)});
    for (const char* mac : {kWebMac, kDnsMac, kWebMac, kDnsMac, kDnsMac}) input.backends.push_back({reachable(mac)});
    for (int service = 0; service < 2; ++service) {
      input.backends.push_back(
          {reachable("02:00:00:00:00:21"), reachable("02:00:00:00:00:22"), reachable("02:00:00:00:00:23")});
    }
    std::vector<BackendState>& quic = input.backends.emplace_back(3, reachable(kWebMac));
    quic[kDraining] = reachable(kDnsMac);
    quic[kDraining].weight_permille = 0;
    quic[kGone].healthy = false;
  }
  return input;
}

std::vector<GoldenRow> golden_rows(Family family) {
  std::vector<GoldenRow> rows = common_rows(family);
  for (std::vector<GoldenRow> more :
       {family == Family::kV4 ? v4_rows() : v6_rows(), wide_rows(family), choice_rows(family), reserved_rows(family),
        golden_tunnel_rows(family), golden_icmp_rows(family), golden_quic_rows(family)}) {
    rows.insert(rows.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  return rows;
}

}  // namespace anypop::l4lb
