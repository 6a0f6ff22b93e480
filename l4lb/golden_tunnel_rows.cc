// SPDX-License-Identifier: Apache-2.0
// Rows about tunnels: what each kind puts before a packet, and what becomes of a packet that does not fit.
#include <fmt/format.h>

#include "golden_rows.h"
#include "l4lb_testing/reference_engine.h"

namespace anypop::l4lb {

using l4lb_testing::eth;
using l4lb_testing::Frame;
using l4lb_testing::IpFields;
using l4lb_testing::PacketBuilder;

namespace {

constexpr std::size_t kEthernetBytes = 14;
constexpr std::uint16_t kClientPort = 40000;

struct Place {
  Family family;
  const char* client;
  const char* vip;
  std::size_t ip_bytes;
  std::uint8_t protocol;  // of this family inside another packet
  std::uint16_t ether_type;
};
constexpr Place kV4Place = {Family::kV4, "192.0.2.10", "198.51.100.1", 20, 4, 0x0800};
constexpr Place kV6Place = {Family::kV6, "2001:db8:c::10", "2001:db8:53::1", 40, 41, 0x86dd};

std::uint16_t port_of(GoldenService service) { return static_cast<std::uint16_t>(4000 + service - kIpip4); }

// The packet that all these rows send, as large as told.
Frame client_packet(const Place& place, GoldenService service, std::size_t ip_bytes, IpFields fields = {}) {
  fields.destination = place.vip;
  fields.dont_fragment = true;
  return eth()
      .ip(fields)
      .tcp({.source = kClientPort, .destination = port_of(service)})
      .payload(ip_bytes - place.ip_bytes - 20);
}

std::span<const std::byte> ip_of(const Frame& frame) { return std::span(frame).subspan(kEthernetBytes); }

l4lb_testing::OuterVariation variation(const Place& place, GoldenService service, const char* sources) {
  const auto bytes = [](const char* text) {
    const IpAddress address = *IpAddress::parse(text);
    return std::vector<std::uint8_t>(address.bytes().begin(), address.bytes().end());
  };
  const std::uint64_t hash =
      l4lb_testing::reference_hash(kGoldenKey, bytes(place.client), bytes(place.vip), kClientPort, port_of(service), 6);
  return l4lb_testing::outer_variation(hash, *IpPrefix::parse(sources));
}

PacketBuilder to_backend() { return eth({.destination = kTunnelMac, .source = kPortMac}); }

std::string gue(std::uint8_t protocol) { return {0, static_cast<char>(protocol), 0, 0}; }
std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// What leaves for the packet, by service.
Frame tunneled(const Place& place, GoldenService service, const Frame& packet, std::uint8_t traffic_class = 0) {
  const std::string gre = place.family == Family::kV4 ? std::string("\0\0\x08\0", 4) : std::string("\0\0\x86\xdd", 4);
  IpFields v4{.source = "172.31.0.7", .destination = "10.9.0.1", .traffic_class = traffic_class};
  v4.dont_fragment = true;
  IpFields v6{.source = "2001:db8:e::7", .destination = "2001:db8:9::1", .traffic_class = traffic_class};
  v6.flow_label = variation(place, service, "::1/128").flow_label;
  const auto port = static_cast<std::uint16_t>(variation(place, service, "::1/128").udp_port);
  switch (service) {
    case kIpip4: {
      const std::uint64_t host = variation(place, service, "172.16.0.0/16").source;
      const std::string source = fmt::format("172.16.{}.{}", host / 256, host % 256);
      v4.source = source;
      v4.protocol = place.protocol;
      return to_backend().ip(v4).raw(ip_of(packet));
    }
    case kIpip6: {
      const std::uint64_t host = variation(place, service, "2001:db8:f::/64").source;
      const std::string source = fmt::format("2001:db8:f::{:x}:{:x}", host / 65536, host % 65536);
      v6.source = source;
      v6.protocol = place.protocol;
      return to_backend().ip(v6).raw(ip_of(packet));
    }
    case kSmallMtu: v4.protocol = place.protocol; return to_backend().ip(v4).raw(ip_of(packet));
    case kGre4: v4.protocol = 47; return to_backend().ip(v4).raw(bytes_of(gre)).raw(ip_of(packet));
    case kGre6: v6.protocol = 47; return to_backend().ip(v6).raw(bytes_of(gre)).raw(ip_of(packet));
    case kGue4:
      return to_backend()
          .ip(v4)
          .udp({.source = port, .destination = 6080, .zero_checksum = true})
          .raw(bytes_of(gue(place.protocol)))
          .raw(ip_of(packet));
    case kGue6:
      return to_backend()
          .ip(v6)
          .udp({.source = port, .destination = 6080})
          .raw(bytes_of(gue(place.protocol)))
          .raw(ip_of(packet));
    default:
      return to_backend()
          .ip(v6)
          .udp({.source = port, .destination = 16080, .zero_checksum = true})
          .raw(bytes_of(gue(place.protocol)))
          .raw(ip_of(packet));
  }
}

struct Kind {
  GoldenService service;
  const char* name;
  std::size_t outer_bytes;
};
constexpr Kind kKinds[] = {{kIpip4, "ipip over IPv4", 20},
                           {kIpip6, "ipip over IPv6", 40},
                           {kGre4, "gre over IPv4", 24},
                           {kGre6, "gre over IPv6", 44},
                           {kGue4, "gue over IPv4", 32},
                           {kGue6, "gue over IPv6", 52},
                           {kGue6Zero, "gue over IPv6 without checksum", 52}};

// The error about a packet: quoted up to the size that errors may have.
Frame too_big(const Place& place, const Frame& packet, std::uint32_t fits) {
  const bool v4 = place.family == Family::kV4;
  IpFields fields{.source = place.vip, .destination = place.client, .traffic_class = 0xc0};
  fields.dont_fragment = true;
  const auto quoted = ip_of(packet).first(std::min<std::size_t>(packet.size() - kEthernetBytes, v4 ? 548 : 1232));
  return eth({.destination = "02:00:00:00:00:02", .source = "02:00:00:00:00:01"})
      .ip(fields)
      .icmp(
          {.type = static_cast<std::uint8_t>(v4 ? 3 : 2), .code = static_cast<std::uint8_t>(v4 ? 4 : 0), .rest = fits})
      .raw(quoted);
}

void add_kind(const Place& place, const Kind& kind, std::vector<GoldenRow>& rows) {
  const std::string name = kind.name;
  const auto fits = static_cast<std::uint32_t>(1500 - kind.outer_bytes);
  for (const std::size_t bytes : {std::size_t{61}, std::size_t{fits}}) {
    const Frame packet = client_packet(place, kind.service, bytes);
    rows.push_back({fmt::format("{}, {} bytes", name, bytes), packet, Verdict::kForward, kind.service,
                    tunneled(place, kind.service, packet)});
  }
  const Frame packet = client_packet(place, kind.service, fits + 1);
  rows.push_back({fmt::format("{}, {} bytes", name, fits + 1), packet, Verdict::kReplyTooBig, kind.service,
                  too_big(place, packet, fits)});
  for (const std::uint8_t traffic_class : {std::uint8_t{0x03}, std::uint8_t{0xb9}}) {
    const Frame marked = client_packet(place, kind.service, 64, {.traffic_class = traffic_class});
    rows.push_back({fmt::format("{}, traffic class {:02x}", name, traffic_class), marked, Verdict::kForward,
                    kind.service, tunneled(place, kind.service, marked, traffic_class)});
  }
}

// Ethernet's side: tags move along, padding stays behind.
void add_ethernet(const Place& place, std::vector<GoldenRow>& rows) {
  const Frame packet = client_packet(place, kIpip6, 60);
  const Frame outer = tunneled(place, kIpip6, packet);
  Frame padded = packet;
  padded.resize(200);
  rows.push_back({"ipip, padding stays behind", padded, Verdict::kForward, kIpip6, outer});
  const PacketBuilder tags = eth().vlan(100, 0x88a8).vlan(7).ether_type(place.ether_type);
  const PacketBuilder outer_tags = to_backend().vlan(100, 0x88a8).vlan(7).ether_type(0x86dd);
  rows.push_back({"ipip, tags move along", PacketBuilder(tags).raw(ip_of(packet)), Verdict::kForward, kIpip6,
                  PacketBuilder(outer_tags).raw(ip_of(outer))});
  const Frame large = client_packet(place, kIpip6, 1461);
  const Frame error = too_big(place, large, 1460);
  rows.push_back({"too big, tags stay", PacketBuilder(tags).raw(ip_of(large)), Verdict::kReplyTooBig, kIpip6,
                  eth({.destination = "02:00:00:00:00:02", .source = "02:00:00:00:00:01"})
                      .vlan(100, 0x88a8)
                      .vlan(7)
                      .ether_type(place.ether_type)
                      .raw(ip_of(error))});
}

void add_unanswered(const Place& place, std::vector<GoldenRow>& rows) {
  const bool v4 = place.family == Family::kV4;
  const auto add = [&](const std::string& name, const Frame& packet) {
    rows.push_back({"too big, " + name, packet, Verdict::kDropTooBig, kIpip4});
  };
  add("frame for a group",
      l4lb_testing::with_macs(client_packet(place, kIpip4, 1481), "01:00:5e:00:00:01", "02:00:00:00:00:02"));
  for (const char* source :
       v4 ? std::vector{"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"} : std::vector{"::", "::1", "ff02::1"}) {
    add(fmt::format("from {}", source), client_packet(place, kIpip4, 1481, {.source = source}));
  }
}

}  // namespace

std::vector<GoldenRow> golden_tunnel_rows(Family family) {
  const Place& place = family == Family::kV4 ? kV4Place : kV6Place;
  std::vector<GoldenRow> rows;
  for (const Kind& kind : kKinds) add_kind(place, kind, rows);
  add_ethernet(place, rows);
  add_unanswered(place, rows);
  const Frame fits = client_packet(place, kSmallMtu, 1380);
  rows.push_back({"configured MTU, fits", fits, Verdict::kForward, kSmallMtu, tunneled(place, kSmallMtu, fits)});
  const Frame large = client_packet(place, kSmallMtu, 1381);
  rows.push_back({"configured MTU, too big", large, Verdict::kReplyTooBig, kSmallMtu, too_big(place, large, 1380)});
  if (family == Family::kV4) {
    const Frame fragmentable = eth().ip({.destination = place.vip}).tcp({.destination = 4000}).payload(1441);
    rows.push_back({"too big, may be fragmented", fragmentable, Verdict::kReplyTooBig, kIpip4,
                    too_big(place, fragmentable, 1480)});
  }
  return rows;
}

}  // namespace anypop::l4lb
