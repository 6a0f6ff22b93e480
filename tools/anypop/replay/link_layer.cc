// SPDX-License-Identifier: Apache-2.0
#include "anypop_replay/link_layer.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <optional>

#include <pcap/pcap.h>

#include "base/text.h"

namespace anypop::replay {
namespace {

// The numbers that files use where libpcap's own (DLT_) differ from system to system.
constexpr int kLinktypeRaw = 101;
constexpr int kDltRawBsd = 14;

constexpr std::uint16_t kIpv4 = 0x0800;
constexpr std::uint16_t kIpv6 = 0x86dd;
constexpr std::uint16_t kNotIp = 0x88b5;  // for local experiments (IEEE 802): no VIP's

std::uint16_t word_at(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>((std::to_integer<unsigned>(bytes[at]) << 8U) |
                                    std::to_integer<unsigned>(bytes[at + 1]));
}

std::uint16_t type_by_version(std::span<const std::byte> packet, std::size_t at) {
  if (packet.size() <= at) return kNotIp;
  const auto version = std::to_integer<unsigned>(packet[at]) >> 4U;
  return version == 4 ? kIpv4 : (version == 6 ? kIpv6 : kNotIp);
}

// Where the link's own header ends, and what follows it.
struct Network {
  std::size_t at;
  std::uint16_t ether_type;
};
using Reader = std::optional<Network> (*)(std::span<const std::byte> packet);  // nullopt: it ends too early

template <std::size_t kAt>
std::optional<Network> by_version(std::span<const std::byte> packet) {
  return Network{kAt, type_by_version(packet, kAt)};
}

// BSD loopback: an address family in the byte order of the machine that captured, and of a system that is not known.
std::optional<Network> read_loopback(std::span<const std::byte> packet) {
  const unsigned family = std::max(std::to_integer<unsigned>(packet[0]), std::to_integer<unsigned>(packet[3]));
  const std::initializer_list<unsigned> ip_families = {2, 10, 24, 28, 30};  // AF_INET; AF_INET6 here and there
  const bool ip = std::find(ip_families.begin(), ip_families.end(), family) != ip_families.end();
  return Network{4, ip ? type_by_version(packet, 4) : kNotIp};
}

// A PPP protocol number (RFC 1661 section 2: one byte if that is odd), or an EtherType.
std::optional<Network> read_protocol(std::span<const std::byte> packet, std::size_t at) {
  constexpr unsigned kPppIpv4 = 0x21;
  constexpr unsigned kPppIpv6 = 0x57;
  if (packet.size() < at + 2) return std::nullopt;
  const bool compressed = (std::to_integer<unsigned>(packet[at]) & 1U) != 0;
  const unsigned protocol = compressed ? std::to_integer<unsigned>(packet[at]) : word_at(packet, at);
  const std::size_t behind = at + (compressed ? 1 : 2);
  if (protocol == kPppIpv4) return Network{behind, kIpv4};
  if (protocol == kPppIpv6) return Network{behind, kIpv6};
  return Network{behind, compressed ? kNotIp : static_cast<std::uint16_t>(protocol)};
}

// PPP and Cisco HDLC, which captures of either type hold: address and control (RFC 1662: ff03, left out by agreement;
// Cisco: 0f00 to one, 8f00 to all), and the protocol.
std::optional<Network> read_serial(std::span<const std::byte> packet) {
  const unsigned first = word_at(packet, 0);
  const bool addressed = first == 0xff03 || first == 0x0f00 || first == 0x8f00;
  return read_protocol(packet, addressed ? 2 : 0);
}

// PPPoE (RFC 2516) from its own header on. What is not of a session is no IP.
std::optional<Network> read_pppoe(std::span<const std::byte> packet) {
  if (packet[1] != std::byte{0}) return Network{6, kNotIp};
  return read_protocol(packet, 6);
}

// Labels up to the bottom of the stack (RFC 3032), then by the version, which is what routers do.
std::optional<Network> read_mpls(std::span<const std::byte> packet) {
  for (std::size_t at = 0; at + 4 <= packet.size(); at += 4) {
    const bool bottom = (std::to_integer<unsigned>(packet[at + 2]) & 1U) != 0;
    if (bottom) return Network{at + 4, type_by_version(packet, at + 4)};
  }
  return std::nullopt;
}

// Attributes of a length and a type, in the byte order of the machine that captured; one is the packet.
std::optional<std::size_t> find_nflog_payload(std::span<const std::byte> packet, bool big_endian) {
  constexpr std::uint16_t kPayload = 9;  // NFULA_PAYLOAD
  const auto word = [&](std::size_t at) {
    const std::uint16_t value = word_at(packet, at);
    return big_endian ? value : static_cast<std::uint16_t>((value << 8U) | (value >> 8U));
  };
  for (std::size_t at = 4; at + 4 <= packet.size();) {
    const std::size_t bytes = word(at);
    if (bytes < 4) return std::nullopt;
    if (word(at + 2) == kPayload) return at + 4;
    at += (bytes + 3) & ~std::size_t{3};
  }
  return std::nullopt;
}

std::optional<Network> read_nflog(std::span<const std::byte> packet) {
  auto at = find_nflog_payload(packet, false);
  if (!at) at = find_nflog_payload(packet, true);
  return at ? Network{*at, type_by_version(packet, *at)} : Network{4, kNotIp};
}

LinkHeader replace(std::size_t bytes, std::uint16_t ether_type) {
  LinkHeader link{.header_bytes = kEthernetBytes, .replaced_bytes = static_cast<std::uint32_t>(bytes)};
  link.header[0] = std::byte{2};  // locally administered (IEEE 802): 02:00:00:00:00:01 from 02:00:00:00:00:02
  link.header[5] = std::byte{1};
  link.header[6] = std::byte{2};
  link.header[11] = std::byte{2};
  link.header[12] = static_cast<std::byte>(ether_type >> 8U);
  link.header[13] = static_cast<std::byte>(ether_type & 0xffU);
  return link;
}

struct LinkType {
  int number;
  std::size_t least_bytes;  // what `read` may take for granted
  Reader read;              // nullptr: it is Ethernet
};

constexpr LinkType kLinkTypes[] = {
    {DLT_EN10MB, 0, nullptr},
    {DLT_LINUX_SLL, 16,
     [](std::span<const std::byte> packet) {
       return std::optional(Network{16, word_at(packet, 14)});
     }},
    {DLT_LINUX_SLL2, 20,
     [](std::span<const std::byte> packet) {
       return std::optional(Network{20, word_at(packet, 0)});
     }},
    {DLT_RAW, 0, by_version<0>},
    {kDltRawBsd, 0, by_version<0>},
    {kLinktypeRaw, 0, by_version<0>},
    {DLT_IPV4, 0, by_version<0>},
    {DLT_IPV6, 0, by_version<0>},
    {DLT_NULL, 4, read_loopback},
    {DLT_LOOP, 4, read_loopback},
    {DLT_ENC, 12, by_version<12>},  // address family, index of the security association, flags
    {DLT_PPP, 2, read_serial},
    {DLT_PPP_SERIAL, 2, read_serial},
    {DLT_C_HDLC, 2, read_serial},
    {DLT_PPP_ETHER, 6, read_pppoe},
    {DLT_MPLS, 4, read_mpls},
    {DLT_NFLOG, 4, read_nflog},
};

const LinkType* find(int number) {
  const auto* const at = std::ranges::find(kLinkTypes, number, &LinkType::number);
  return at == std::end(kLinkTypes) ? nullptr : at;
}

}  // namespace

bool is_readable(int link_type) { return find(link_type) != nullptr; }

std::string link_type_text(int link_type) {
  const char* const name = pcap_datalink_val_to_name(link_type);
  const char* const description = pcap_datalink_val_to_description(link_type);
  if (name == nullptr || description == nullptr) return fmt::format("{} (unknown)", link_type);
  return fmt::format("{} ({}: {})", link_type, name, description);
}

LinkHeader link_header(int link_type, std::span<const std::byte> packet) {
  const LinkType* const type = find(link_type);
  if (type == nullptr) return replace(0, kNotIp);
  if (type->read == nullptr) return {};
  const std::optional<Network> network = packet.size() < type->least_bytes ? std::nullopt : type->read(packet);
  if (network) return replace(network->at, network->ether_type);
  return {.replaced_bytes = static_cast<std::uint32_t>(packet.size())};
}

bool fill_in_length(std::span<std::byte> frame, std::uint32_t wire_bytes) {
  constexpr std::size_t kV4Header = 20;
  constexpr std::size_t kV6Header = 40;
  constexpr std::size_t kTransport = 8;  // at the least, so that the padding of a small frame is not taken for it
  std::size_t ip = kEthernetBytes;
  for (const unsigned tag : {0x88a8U, 0x8100U}) {
    if (frame.size() >= ip && word_at(frame, ip - 2) == tag) ip += 4;
  }
  const bool v4 = type_by_version(frame, ip) == kIpv4;
  const std::size_t header = v4 ? kV4Header : kV6Header;
  if (frame.size() < ip + header || wire_bytes < ip + header + kTransport) return false;
  if (word_at(frame, ip - 2) != (v4 ? kIpv4 : kIpv6)) return false;
  const std::size_t length_at = ip + (v4 ? 2 : 4);
  const auto protocol = std::to_integer<unsigned>(frame[ip + (v4 ? 9 : 6)]);
  const bool segments = protocol == 6 || protocol == 17 || (!v4 && protocol == 0);  // 0: with a jumbo payload option
  if (!segments || word_at(frame, length_at) != 0) return false;
  const std::size_t bytes = std::min<std::size_t>(wire_bytes - ip - (v4 ? 0 : kV6Header), 0xffff);
  frame[length_at] = static_cast<std::byte>(bytes >> 8U);
  frame[length_at + 1] = static_cast<std::byte>(bytes & 0xffU);
  return true;
}

}  // namespace anypop::replay
