// SPDX-License-Identifier: Apache-2.0
#include "anypop_replay/link_layer.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <string_view>

#include <pcap/dlt.h>

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

// BSD loopback: an address family in the byte order of the machine that captured, and of a system that is not known.
std::uint16_t type_of_loopback(std::span<const std::byte> packet) {
  const unsigned family = std::max(std::to_integer<unsigned>(packet[0]), std::to_integer<unsigned>(packet[3]));
  const std::initializer_list<unsigned> ip_families = {2, 10, 24, 28, 30};  // AF_INET; AF_INET6 here and there
  const bool ip = std::find(ip_families.begin(), ip_families.end(), family) != ip_families.end();
  return ip ? type_by_version(packet, 4) : kNotIp;
}

LinkHeader replace(std::uint32_t bytes, std::uint16_t ether_type) {
  LinkHeader link{.header_bytes = kEthernetBytes, .replaced_bytes = bytes};
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
  std::string_view name;
  std::uint32_t header_bytes;
  std::uint16_t (*ether_type)(std::span<const std::byte> packet);  // nullptr: it is Ethernet
};

constexpr auto by_version = [](std::span<const std::byte> packet) { return type_by_version(packet, 0); };

std::uint16_t type_of_ppp(std::span<const std::byte> packet, std::size_t at) {
  constexpr std::uint16_t kPppIpv4 = 0x0021;
  constexpr std::uint16_t kPppIpv6 = 0x0057;
  const std::uint16_t protocol = word_at(packet, at);
  return protocol == kPppIpv4 ? kIpv4 : (protocol == kPppIpv6 ? kIpv6 : kNotIp);
}

constexpr LinkType kLinkTypes[] = {
    {DLT_EN10MB, "Ethernet", 0, nullptr},
    {DLT_LINUX_SLL, "Linux cooked", 16, [](std::span<const std::byte> packet) { return word_at(packet, 14); }},
    {DLT_LINUX_SLL2, "Linux cooked v2", 20, [](std::span<const std::byte> packet) { return word_at(packet, 0); }},
    {DLT_RAW, "raw IP", 0, by_version},
    {kDltRawBsd, "raw IP", 0, by_version},
    {kLinktypeRaw, "raw IP", 0, by_version},
    {DLT_IPV4, "raw IPv4", 0, by_version},
    {DLT_IPV6, "raw IPv6", 0, by_version},
    {DLT_NULL, "BSD loopback", 4, type_of_loopback},
    {DLT_LOOP, "OpenBSD loopback", 4, type_of_loopback},
    {DLT_PPP, "PPP", 4, [](std::span<const std::byte> packet) { return type_of_ppp(packet, 2); }},
    {DLT_C_HDLC, "Cisco HDLC", 4, [](std::span<const std::byte> packet) { return word_at(packet, 2); }},
};

const LinkType* find(int number) {
  const auto* const at = std::ranges::find(kLinkTypes, number, &LinkType::number);
  return at == std::end(kLinkTypes) ? nullptr : at;
}

}  // namespace

absl::Status check_link_type(int link_type) {
  if (find(link_type) != nullptr) return absl::OkStatus();
  return invalid_argument(
      "found packets of link type {}, expected Ethernet, Linux cooked, raw IP, BSD loopback, PPP or Cisco HDLC",
      link_type);
}

LinkHeader link_header(int link_type, std::span<const std::byte> packet) {
  const LinkType& type = *find(link_type);
  if (type.ether_type == nullptr) return {};
  if (packet.size() < type.header_bytes) {
    LinkHeader cut = replace(static_cast<std::uint32_t>(packet.size()), kNotIp);
    cut.header_bytes = 0;
    return cut;
  }
  return replace(type.header_bytes, type.ether_type(packet));
}

}  // namespace anypop::replay
