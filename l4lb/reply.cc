// SPDX-License-Identifier: Apache-2.0
#include "reply.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "checksum.h"

namespace anypop::l4lb {
namespace {

using wire::be16;
using wire::Edit;
using wire::View;

constexpr std::uint8_t kReplyTtl = 64;
constexpr std::uint8_t kReplyTrafficClass = 0xc0;  // CS6, internetwork control: RFC 1812 section 4.3.2.5
constexpr std::uint32_t kV4ErrorMaxBytes = 576;    // RFC 1812 section 4.3.2.3
constexpr std::uint32_t kV6ErrorMaxBytes = 1280;   // RFC 4443 section 2.4 (c)

bool is_group(const std::byte* frame) { return (frame[0] & std::byte{1}) != std::byte{0}; }

// Can somebody with this source address be answered? (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e).)
bool answerable(const wire::Ipv4Address& source) {
  const std::uint32_t host = source.value.host();
  const std::uint32_t first = host >> 24U;
  return first != 0 && first != 127 && first < 224;
}
bool answerable(const wire::Ipv6Address& source) {
  constexpr std::array<std::uint8_t, 15> kZeros{};
  const bool unspecified_or_loopback =
      std::ranges::equal(std::span(source.bytes).first<15>(), kZeros) && source.bytes[15] <= 1;
  return source.bytes[0] != 0xff && !unspecified_or_loopback;
}

struct TooBig {
  std::uint8_t type;
  std::uint8_t code;
  std::uint32_t error_max_bytes;
};
template <class F>
constexpr TooBig kTooBig = F::kFamily == Family::kV4 ? TooBig{3, 4, kV4ErrorMaxBytes} : TooBig{2, 0, kV6ErrorMaxBytes};

// Makes room of `bytes` between the Ethernet header and what lies at `ip_offset`, and turns the MAC addresses round.
std::byte* turn_round(std::uint32_t ip_offset, std::uint32_t bytes, Packet& packet) {
  std::array<std::byte, 6> asker;
  std::memcpy(asker.data(), packet.data + 6, asker.size());
  std::byte* const frame = packet.data - bytes;
  std::memmove(frame, packet.data, ip_offset);
  std::memcpy(frame + 6, frame, asker.size());
  std::memcpy(frame, asker.data(), asker.size());
  packet.data = frame;
  packet.headroom_bytes -= bytes;
  return frame + ip_offset;
}

void write_ip(std::byte* at, std::uint32_t total_bytes, const wire::Ipv4Address& from, const wire::Ipv4Address& to) {
  std::memset(at, 0, sizeof(wire::Ipv4));
  Edit<wire::Ipv4> header(at);
  header.set(&wire::Ipv4::version_and_ihl, {0x45})
      .set(&wire::Ipv4::dscp_and_ecn, kReplyTrafficClass)
      .set(&wire::Ipv4::total_length, be16(static_cast<std::uint16_t>(total_bytes)))
      .set(&wire::Ipv4::flags_and_offset, {be16(wire::FlagsAndOffset::kDontFragment)})
      .set(&wire::Ipv4::ttl, kReplyTtl)
      .set(&wire::Ipv4::protocol, wire::IpProtocol::kIcmp)
      .set(&wire::Ipv4::source, from)
      .set(&wire::Ipv4::destination, to);
  header.set(&wire::Ipv4::checksum, checksum(sum_words({at, sizeof(wire::Ipv4)})));
}

void write_ip(std::byte* at, std::uint32_t total_bytes, const wire::Ipv6Address& from, const wire::Ipv6Address& to) {
  Edit<wire::Ipv6>(at)
      .set(&wire::Ipv6::version_class_label, {wire::be32(0x60000000U | (std::uint32_t{kReplyTrafficClass} << 20U))})
      .set(&wire::Ipv6::payload_length, be16(static_cast<std::uint16_t>(total_bytes - sizeof(wire::Ipv6))))
      .set(&wire::Ipv6::next_header, wire::IpProtocol::kIcmpV6)
      .set(&wire::Ipv6::hop_limit, kReplyTtl)
      .set(&wire::Ipv6::source, from)
      .set(&wire::Ipv6::destination, to);
}

// What ICMP's checksum covers beside the message: nothing in IPv4, the pseudo header of RFC 8200 section 8.1 in IPv6.
template <class F>
std::uint64_t pseudo_sum(const std::byte* ip, std::uint32_t message_bytes) {
  if constexpr (F::kFamily == Family::kV4) return 0;
  return sum_words({ip + offsetof(wire::Ipv6, source), 2 * sizeof(wire::Ipv6Address)}) + message_bytes +
         static_cast<std::uint8_t>(wire::IpProtocol::kIcmpV6);
}

template <class F>
std::uint32_t total_bytes_of(const std::byte* ip) {
  if constexpr (F::kFamily == Family::kV4) return View<wire::Ipv4>(ip)[&wire::Ipv4::total_length].host();
  if constexpr (F::kFamily == Family::kV6) {
    return std::uint32_t{sizeof(wire::Ipv6)} + View<wire::Ipv6>(ip)[&wire::Ipv6::payload_length].host();
  }
}

}  // namespace

template <class F>
Verdict reply_too_big(std::uint32_t ip_offset, std::uint16_t fits_bytes, std::uint32_t now_ms, TokenBucket& bucket,
                      Packet& packet) {
  using Header = typename F::Header;
  constexpr std::uint32_t kBefore = sizeof(Header) + sizeof(wire::Icmp);
  static_assert(kBefore <= kHeadroomBytes);
  const View<Header> packet_header(packet.data + ip_offset);
  const typename F::Address sender = packet_header[&Header::source];
  const typename F::Address vip = packet_header[&Header::destination];
  if (is_group(packet.data) || !answerable(sender)) return Verdict::kDropTooBig;
  if (packet.headroom_bytes < kBefore) return Verdict::kDropNoHeadroom;
  if (!bucket.take(now_ms)) return Verdict::kDropReplyLimit;

  const std::uint32_t total_bytes =
      std::min(kBefore + total_bytes_of<F>(packet.data + ip_offset), kTooBig<F>.error_max_bytes);
  std::byte* const ip = turn_round(ip_offset, kBefore, packet);
  write_ip(ip, total_bytes, vip, sender);
  std::byte* const icmp = ip + sizeof(Header);
  Edit<wire::Icmp> message(icmp);
  message.set(&wire::Icmp::type, kTooBig<F>.type)
      .set(&wire::Icmp::code, kTooBig<F>.code)
      .set(&wire::Icmp::checksum, be16(0))
      .set(&wire::Icmp::rest, wire::be32(fits_bytes));  // IPv4 has 16 unused bits before it
  const std::uint32_t message_bytes = total_bytes - std::uint32_t{sizeof(Header)};
  message.set(&wire::Icmp::checksum, checksum(pseudo_sum<F>(ip, message_bytes) + sum_words({icmp, message_bytes})));
  packet.length_bytes = ip_offset + total_bytes;
  return Verdict::kReplyTooBig;
}

template Verdict reply_too_big<V4>(std::uint32_t, std::uint16_t, std::uint32_t, TokenBucket&, Packet&);
template Verdict reply_too_big<V6>(std::uint32_t, std::uint16_t, std::uint32_t, TokenBucket&, Packet&);

}  // namespace anypop::l4lb
