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

// The checksum of a message after one of its words has changed: RFC 1624 equation 3, so that a wrong checksum stays
// wrong, and the receiver sees it. Its one blind spot: 0 may stand for a sum of all ones, as it should, or for a
// message of nothing but zeros, whose checksum is 0xffff. Then the message is looked at.
be16 checksum_after(be16 before, std::uint16_t old_word, std::uint16_t new_word, std::span<const std::byte> message) {
  const auto inverted = [](std::uint16_t word) { return std::uint32_t{static_cast<std::uint16_t>(~word)}; };
  const be16 after = checksum(inverted(before.host()) + inverted(old_word) + new_word);
  if (after != be16(0)) return after;
  const bool zeros = std::ranges::all_of(message.first(2), [](std::byte b) { return b == std::byte{0}; }) &&
                     std::ranges::all_of(message.subspan(4), [](std::byte b) { return b == std::byte{0}; });
  return zeros ? be16(0xffff) : after;
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

template <class F>
Verdict reply_echo(std::uint32_t ip_offset, std::uint32_t icmp_at, std::uint32_t end, std::uint32_t now_ms,
                   TokenBucket& bucket, Packet& packet) {
  using Header = typename F::Header;
  constexpr bool kV4 = F::kFamily == Family::kV4;
  std::byte* const ip = packet.data + ip_offset;
  const typename F::Address sender = View<Header>(ip)[&Header::source];
  const typename F::Address vip = View<Header>(ip)[&Header::destination];
  if (icmp_at != ip_offset + sizeof(Header)) return Verdict::kDropIcmp;
  if (is_group(packet.data) || !answerable(sender)) return Verdict::kDropIcmp;
  if (!bucket.take(now_ms)) return Verdict::kDropReplyLimit;

  turn_round(ip_offset, 0, packet);
  Edit<Header>(ip).set(&Header::source, vip).set(&Header::destination, sender);
  if constexpr (kV4) {
    Edit<Header>(ip).set(&Header::ttl, kReplyTtl).set(&Header::checksum, be16(0));
    Edit<Header>(ip).set(&Header::checksum, checksum(sum_words({ip, sizeof(Header)})));
  } else {
    Edit<Header>(ip).set(&Header::hop_limit, kReplyTtl);
  }
  std::byte* const icmp = packet.data + icmp_at;
  const std::uint8_t request = View<wire::Icmp>(icmp)[&wire::Icmp::type];
  const std::uint8_t reply = kV4 ? 0 : 129;
  Edit<wire::Icmp> message(icmp);
  message.set(&wire::Icmp::type, reply);
  message.set(&wire::Icmp::checksum,
              checksum_after(View<wire::Icmp>(icmp)[&wire::Icmp::checksum], static_cast<std::uint16_t>(request << 8U),
                             static_cast<std::uint16_t>(reply << 8U), {icmp, end - icmp_at}));
  return Verdict::kReplyEcho;
}

template Verdict reply_echo<V4>(std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t, TokenBucket&, Packet&);
template Verdict reply_echo<V6>(std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t, TokenBucket&, Packet&);
template Verdict reply_too_big<V4>(std::uint32_t, std::uint16_t, std::uint32_t, TokenBucket&, Packet&);
template Verdict reply_too_big<V6>(std::uint32_t, std::uint16_t, std::uint32_t, TokenBucket&, Packet&);

}  // namespace anypop::l4lb
