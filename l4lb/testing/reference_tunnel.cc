// SPDX-License-Identifier: Apache-2.0
#include "reference_tunnel.h"

#include <algorithm>

#include "l4lb_testing/reference_engine.h"

namespace anypop::l4lb_testing {
namespace {

using l4lb::Verdict;

void put16(Bytes& bytes, std::size_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value / 256 % 256));
  bytes.push_back(static_cast<std::uint8_t>(value % 256));
}
void put(Bytes& bytes, const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }
Bytes part(const Bytes& bytes, std::size_t at, std::size_t count) {
  const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

std::uint16_t checksum_of(const Bytes& bytes) { return checksum_fold(checksum_sum(std::as_bytes(std::span(bytes)))); }
void set16(Bytes& bytes, std::size_t at, unsigned value) {
  bytes.at(at) = static_cast<std::uint8_t>(value / 256);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value % 256);
}

Bytes plus(Bytes address, std::uint64_t more) {
  for (std::size_t i = address.size(); i > 0; --i) {
    more += address[i - 1];
    address[i - 1] = static_cast<std::uint8_t>(more % 256);
    more /= 256;
  }
  return address;
}

Bytes ip_header(bool v4, unsigned traffic_class, unsigned flow_label, unsigned protocol, std::size_t payload,
                const Bytes& source, const Bytes& destination) {
  Bytes header;
  if (v4) {
    header = {0x45, static_cast<std::uint8_t>(traffic_class)};
    put16(header, 20 + payload);
    put(header, {0, 0, 0x40, 0, 64, static_cast<std::uint8_t>(protocol), 0, 0});
  } else {
    put16(header, 0x6000 + traffic_class * 16 + flow_label / 65536);
    put16(header, flow_label % 65536);
    put16(header, payload);
    put(header, {static_cast<std::uint8_t>(protocol), 64});
  }
  put(header, source);
  put(header, destination);
  if (v4) set16(header, 10, checksum_of(header));
  return header;
}

// With the pseudo header of RFC 8200 section 8.1.
std::uint16_t v6_checksum(const Bytes& source, const Bytes& destination, unsigned protocol, const Bytes& message) {
  Bytes all = source;
  put(all, destination);
  put16(all, 0);
  put16(all, message.size());
  put16(all, 0);
  put16(all, protocol);
  put(all, message);
  return checksum_of(all);
}

TunnelResult too_big(const Frame& ethernet, const Bytes& inner, unsigned fits) {
  const bool v4 = inner[0] / 16 == 4;
  const Bytes sender = v4 ? part(inner, 12, 4) : part(inner, 8, 16);
  const Bytes vip = v4 ? part(inner, 16, 4) : part(inner, 24, 16);
  if (!may_answer(ethernet, sender)) return {.verdict = Verdict::kDropTooBig, .frame = {}};
  Bytes message = v4 ? Bytes{3, 4, 0, 0, 0, 0} : Bytes{2, 0, 0, 0, 0, 0};
  put16(message, fits);
  put(message, part(inner, 0, std::min<std::size_t>(inner.size(), v4 ? 576 - 28 : 1280 - 48)));
  set16(message, 2, v4 ? checksum_of(message) : v6_checksum(vip, sender, 58, message));
  Bytes packet = ip_header(v4, 0xc0, 0, v4 ? 1 : 58, message.size(), vip, sender);
  put(packet, message);

  TunnelResult result{.verdict = Verdict::kReplyTooBig, .frame = ethernet};
  std::swap_ranges(result.frame.begin(), result.frame.begin() + 6, result.frame.begin() + 6);
  for (const std::uint8_t byte : packet) result.frame.push_back(std::byte{byte});
  return result;
}

}  // namespace

bool may_answer(const Frame& ethernet, const Bytes& source) {
  if ((std::to_integer<unsigned>(ethernet[0]) & 1U) != 0) return false;
  if (source.size() == 4) return source[0] != 0 && source[0] != 127 && source[0] < 224;
  const bool mostly_zero = std::all_of(source.begin(), source.end() - 1, [](std::uint8_t byte) { return byte == 0; });
  return source[0] != 255 && !(mostly_zero && source[15] < 2);
}

Frame reference_echo(Frame frame, std::size_t ip_at, std::size_t ip_bytes) {
  std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
  Bytes packet;
  for (std::size_t i = 0; i < ip_bytes; ++i) packet.push_back(std::to_integer<std::uint8_t>(frame.at(ip_at + i)));
  const bool v4 = packet[0] / 16 == 4;
  const std::size_t header = v4 ? 20 : 40;
  Bytes old = part(packet, header, ip_bytes - header);
  const Bytes sender = v4 ? part(packet, 12, 4) : part(packet, 8, 16);
  const Bytes vip = v4 ? part(packet, 16, 4) : part(packet, 24, 16);
  // A wrong checksum must stay wrong, by the same difference.
  const auto right = [&](Bytes message) {
    set16(message, 2, 0);
    return v4 ? checksum_of(message) : v6_checksum(vip, sender, 58, message);
  };
  const unsigned found = old[2] * 256U + old[3];
  const unsigned off = (found + 0xffffU - right(old)) % 0xffffU;
  Bytes reply = old;
  reply[0] = v4 ? 0 : 129;
  unsigned sum = right(reply);
  if (off != 0) sum = (sum + off) % 0xffffU;
  set16(reply, 2, sum);

  packet = part(packet, 0, header);
  for (std::size_t i = 0; i < sender.size(); ++i) {
    packet[(v4 ? 12 : 8) + i] = vip[i];
    packet[(v4 ? 16 : 24) + i] = sender[i];
  }
  packet[v4 ? 8 : 7] = 64;
  if (v4) set16(packet, 10, 0);
  if (v4) set16(packet, 10, checksum_of(packet));
  put(packet, reply);
  for (std::size_t i = 0; i < ip_bytes; ++i) frame[ip_at + i] = std::byte{packet[i]};
  return frame;
}

OuterVariation outer_variation(std::uint64_t hash, const IpPrefix& sources) {
  const bool v4 = sources.family() == Family::kV4;
  const std::uint64_t low = hash % 0x100000000ULL;
  const unsigned bits = std::min((v4 ? 32U : 128U) - sources.length_bits(), 32U);
  const std::uint64_t addresses = std::uint64_t{1} << bits;
  OuterVariation variation;
  // Neither the first address of a subnet nor, in IPv4, the last.
  if (bits == 1) variation.source = low / 0x80000000ULL;
  if (bits > 1) variation.source = 1 + low * (addresses - (v4 ? 2 : 1)) / 0x100000000ULL;
  const std::uint64_t mixed = low * 0x9e3779b1U % 0x100000000ULL;
  variation.udp_port = static_cast<unsigned>(49152 + mixed / (0x100000000ULL / 16384));
  variation.flow_label = static_cast<unsigned>(mixed / 4096);
  return variation;
}

TunnelResult reference_tunnel(const ServiceConfig& service, const IpAddress& backend, unsigned mtu, std::uint64_t hash,
                              const Frame& ethernet, const Bytes& inner) {
  const bool v4 = backend.family() == Family::kV4;
  const bool inner_v4 = inner[0] / 16 == 4;
  const IpPrefix& sources = *std::find_if(service.tunnel.sources.begin(), service.tunnel.sources.end(),
                                          [&](const IpPrefix& p) { return p.family() == backend.family(); });
  const OuterVariation variation = outer_variation(hash, sources);
  const Bytes source = plus({sources.address().bytes().begin(), sources.address().bytes().end()}, variation.source);
  const Bytes destination(backend.bytes().begin(), backend.bytes().end());

  unsigned protocol = inner_v4 ? 4 : 41;
  Bytes payload;
  if (service.forwarding == Forwarding::kGre) {
    payload = inner_v4 ? Bytes{0, 0, 0x08, 0x00} : Bytes{0, 0, 0x86, 0xdd};
    protocol = 47;
  } else if (service.forwarding == Forwarding::kGue) {
    put16(payload, variation.udp_port);
    put16(payload, service.tunnel.gue_port);
    put16(payload, 12 + inner.size());
    put(payload, {0, 0, 0, static_cast<std::uint8_t>(protocol), 0, 0});
    protocol = 17;
  }
  const std::size_t before = payload.size() + (v4 ? 20U : 40U);
  const std::size_t limit = service.tunnel.mtu_bytes != 0 ? service.tunnel.mtu_bytes : mtu;
  if (before + inner.size() > limit) return too_big(ethernet, inner, static_cast<unsigned>(limit - before));
  put(payload, inner);
  if (protocol == 17 && !v4 && !service.tunnel.gue_zero_checksum) {
    const unsigned sum = v6_checksum(source, destination, 17, payload);
    set16(payload, 6, sum == 0 ? 0xffff : sum);
  }
  const unsigned traffic_class = inner_v4 ? inner[1] : inner[0] % 16U * 16U + inner[1] / 16U;
  Bytes packet =
      ip_header(v4, traffic_class, v4 ? 0 : variation.flow_label, protocol, payload.size(), source, destination);
  put(packet, payload);

  TunnelResult result{.verdict = Verdict::kForward, .frame = ethernet};
  result.frame[ethernet.size() - 2] = v4 ? std::byte{0x08} : std::byte{0x86};
  result.frame[ethernet.size() - 1] = v4 ? std::byte{0x00} : std::byte{0xdd};
  for (const std::uint8_t byte : packet) result.frame.push_back(std::byte{byte});
  return result;
}

}  // namespace anypop::l4lb_testing
