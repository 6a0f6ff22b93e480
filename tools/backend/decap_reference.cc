// SPDX-License-Identifier: Apache-2.0
#include "decap_reference.h"

#include <algorithm>

namespace anypop::backend {
namespace {

constexpr std::size_t kEthernetBytes = 14;
constexpr unsigned kCongested = 3;

unsigned word(const Frame& frame, std::size_t at) { return (unsigned{frame[at]} << 8U) | frame[at + 1]; }
void set_word(Frame& frame, std::size_t at, std::size_t value) {
  frame[at] = static_cast<std::uint8_t>(value >> 8U);
  frame[at + 1] = static_cast<std::uint8_t>(value);
}

IpAddress address(const Frame& frame, std::size_t at, bool v6) {
  return IpAddress::from_bytes({frame.data() + at, v6 ? 16U : 4U});
}

bool inside(const std::vector<IpPrefix>& prefixes, const IpAddress& address) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const IpPrefix& p) { return p.contains(address); });
}

std::size_t ones_complement_sum(const Frame& frame, std::size_t at, std::size_t bytes) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < bytes; i += 2) sum += word(frame, at + i);
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  return sum;
}

struct Ip {
  bool v6 = false;
  std::size_t header_bytes = 0;
  std::size_t total_bytes = 0;
  unsigned protocol = 0;
  unsigned ecn = 0;
  IpAddress source;
  IpAddress destination;
};

// Its fixed header must be there.
Ip read_ip(const Frame& frame, std::size_t at, bool v6) {
  if (v6) {
    return {true,
            40,
            40 + std::size_t{word(frame, at + 4)},
            frame[at + 6],
            (frame[at + 1] >> 4U) & 3U,
            address(frame, at + 8, true),
            address(frame, at + 24, true)};
  }
  return {false,
          (frame[at] & 15U) * std::size_t{4},
          word(frame, at + 2),
          frame[at + 9],
          frame[at + 1] & 3U,
          address(frame, at + 12, false),
          address(frame, at + 16, false)};
}

bool has_ip(const Frame& frame, std::size_t at, bool v6) {
  return frame.size() >= at + (v6 ? 40 : 20) && frame[at] >> 4U == (v6 ? 6U : 4U) && (v6 || (frame[at] & 15U) >= 5);
}

struct Shim {
  unsigned verdict;  // DECAP_IPIP, DECAP_GRE or DECAP_GUE if an inner packet follows
  std::size_t bytes = 0;
  std::size_t limit = 0;  // where the inner packet must end
  bool inner_v6 = false;
};

Shim read_gre(const Frame& frame, std::size_t at, std::size_t limit) {
  if (frame.size() < at + 4) return {DECAP_DROP_MALFORMED};
  const unsigned type = word(frame, at + 2);
  if (word(frame, at) != 0 || (type != 0x0800 && type != 0x86dd)) return {DECAP_PASS_UNSUPPORTED};
  return {DECAP_GRE, 4, limit, type == 0x86dd};
}

Shim read_gue(const Frame& frame, std::size_t at, std::size_t limit, const Wish& wish) {
  if (frame.size() < at + 8) return {DECAP_DROP_MALFORMED};
  const auto port = static_cast<std::uint16_t>(word(frame, at + 2));
  if (std::find(wish.gue_ports.begin(), wish.gue_ports.end(), port) == wish.gue_ports.end()) return {DECAP_PASS_OTHER};
  if (frame.size() < at + 12 || at + word(frame, at + 4) > limit) return {DECAP_DROP_MALFORMED};
  const unsigned protocol = frame[at + 9];
  if (frame[at + 8] != 0 || word(frame, at + 10) != 0 || (protocol != 4 && protocol != 41)) {
    return {DECAP_PASS_UNSUPPORTED};
  }
  return {DECAP_GUE, 12, at + word(frame, at + 4), protocol == 41};
}

Shim read_shim(const Frame& frame, std::size_t at, const Ip& outer, std::size_t limit, const Wish& wish) {
  if (wish.ipip && (outer.protocol == 4 || outer.protocol == 41)) return {DECAP_IPIP, 0, limit, outer.protocol == 41};
  if (wish.gre && outer.protocol == 47) return read_gre(frame, at, limit);
  if (wish.gue && outer.protocol == 17) return read_gue(frame, at, limit, wish);
  return {DECAP_PASS_OTHER};
}

unsigned check_outer(const Frame& frame, const Ip& outer) {
  if (outer.v6) {
    if (outer.protocol == 44) return DECAP_PASS_FRAGMENT;
    if (outer.protocol == 0 || outer.protocol == 60 || outer.protocol == 43) return DECAP_PASS_UNSUPPORTED;
  } else {
    if ((word(frame, kEthernetBytes + 6) & 0x3fffU) != 0) return DECAP_PASS_FRAGMENT;
    if (outer.header_bytes != 20) return DECAP_PASS_UNSUPPORTED;
    if (outer.total_bytes < 20 || ones_complement_sum(frame, kEthernetBytes, 20) != 0xffff) return DECAP_DROP_MALFORMED;
  }
  return outer.total_bytes > frame.size() - kEthernetBytes ? DECAP_DROP_MALFORMED : DECAP_IPIP;
}

// RFC 6040, figure 4; nullopt: drop.
std::optional<unsigned> combined_ecn(unsigned inner, unsigned outer) {
  if (outer == kCongested) return inner == 0 ? std::nullopt : std::optional(kCongested);
  return outer == 1 && inner == 2 ? 1U : inner;
}

void set_ecn(Frame& frame, std::size_t at, bool v6, unsigned ecn) {
  if (v6) {
    frame[at + 1] = static_cast<std::uint8_t>((frame[at + 1] & ~0x30U) | (ecn << 4U));
    return;
  }
  // RFC 1624, equation 3: a wrong checksum stays as wrong as it was.
  std::size_t sum = (~word(frame, at + 10) & 0xffffU) + (~word(frame, at) & 0xffffU);
  frame[at + 1] = static_cast<std::uint8_t>((frame[at + 1] & ~3U) | ecn);
  sum += word(frame, at);
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  set_word(frame, at + 10, ~sum & 0xffffU);
}

}  // namespace

void set_checksum(Frame& frame, std::size_t offset) {
  set_word(frame, offset + 10, 0);
  set_word(frame, offset + 10, ~ones_complement_sum(frame, offset, (frame[offset] & 15U) * std::size_t{4}) & 0xffffU);
}

Outcome decapsulate(const Frame& frame, const Wish& wish) {
  const unsigned type = word(frame, 12);
  const bool v6 = type == 0x86dd;
  const bool for_us = std::all_of(frame.begin(), frame.begin() + 6, [](std::uint8_t byte) { return byte == 0; });
  if ((type != 0x0800 && !v6) || !for_us || !has_ip(frame, kEthernetBytes, v6)) return {DECAP_PASS_OTHER, frame};
  const Ip outer = read_ip(frame, kEthernetBytes, v6);
  const auto& own = wish.addresses;
  if (std::find(own.begin(), own.end(), outer.destination) == own.end()) return {DECAP_PASS_OTHER, frame};
  if (const unsigned verdict = check_outer(frame, outer); verdict != DECAP_IPIP) return {verdict, frame};
  const std::size_t shim_at = kEthernetBytes + outer.header_bytes;
  const Shim shim = read_shim(frame, shim_at, outer, kEthernetBytes + outer.total_bytes, wish);
  if (shim.verdict < DECAP_IPIP || shim.verdict > DECAP_GUE) return {shim.verdict, frame};
  const std::size_t inner_at = shim_at + shim.bytes;
  if (!has_ip(frame, inner_at, shim.inner_v6)) return {DECAP_DROP_MALFORMED, frame};
  const Ip inner = read_ip(frame, inner_at, shim.inner_v6);
  if (inner.total_bytes < inner.header_bytes || inner_at + inner.total_bytes > shim.limit) {
    return {DECAP_DROP_MALFORMED, frame};
  }
  if (!inside(wish.vips, inner.destination)) return {DECAP_PASS_NOT_VIP, frame};
  if (!wish.sources.empty() && !inside(wish.sources, outer.source)) return {DECAP_DROP_SOURCE, frame};
  const auto ecn = combined_ecn(inner.ecn, outer.ecn);
  if (!ecn) return {DECAP_DROP_CONGESTED, frame};
  Outcome outcome{shim.verdict, frame};
  if (*ecn != inner.ecn) set_ecn(outcome.frame, inner_at, shim.inner_v6, *ecn);
  outcome.frame.erase(outcome.frame.begin() + kEthernetBytes,
                      outcome.frame.begin() + static_cast<std::ptrdiff_t>(inner_at));
  set_word(outcome.frame, 12, shim.inner_v6 ? 0x86dd : 0x0800);
  return outcome;
}

namespace {

void append(Frame& frame, std::initializer_list<unsigned> bytes) {
  for (const unsigned byte : bytes) frame.push_back(static_cast<std::uint8_t>(byte));
}

void append_ip(Frame& frame, std::string_view source, std::string_view destination, unsigned protocol,
               unsigned traffic_class, std::size_t payload_bytes) {
  const IpAddress from = *IpAddress::parse(source);
  const IpAddress to = *IpAddress::parse(destination);
  const std::size_t at = frame.size();
  if (from.family() == Family::kV6) {
    append(frame, {0x60U | (traffic_class >> 4U), (traffic_class << 4U) & 0xf0U, 0, 0, 0, 0, protocol, 64});
    set_word(frame, at + 4, payload_bytes);
  } else {
    append(frame, {0x45, traffic_class, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0});
    set_word(frame, at + 2, 20 + payload_bytes);
  }
  frame.insert(frame.end(), from.bytes().begin(), from.bytes().end());
  frame.insert(frame.end(), to.bytes().begin(), to.bytes().end());
  if (from.family() == Family::kV4) set_checksum(frame, at);
}

}  // namespace

Frame to_frame(const FrameSpec& spec) {
  const bool inner_v6 = spec.inner_source.find(':') != std::string_view::npos;
  const bool outer_v6 = spec.outer_source.find(':') != std::string_view::npos;
  const bool plain = spec.kind == Kind::kPlain;
  const unsigned type = (plain ? inner_v6 : outer_v6) ? 0x86dd : 0x0800;
  const unsigned inner_protocol = inner_v6 ? 41 : 4;
  const std::size_t inner_bytes = (inner_v6 ? 40U : 20U) + spec.payload_bytes;
  Frame frame(12);
  append(frame, {type >> 8U, type & 0xffU});
  const auto outer = [&](unsigned protocol, std::size_t shim_bytes) {
    append_ip(frame, spec.outer_source, spec.outer_destination, protocol, spec.outer_class, shim_bytes + inner_bytes);
  };
  switch (spec.kind) {
    case Kind::kPlain: break;
    case Kind::kIpip: outer(inner_protocol, 0); break;
    case Kind::kGre:
      outer(47, 4);
      append(frame, {0, 0, inner_v6 ? 0x86U : 0x08U, inner_v6 ? 0xddU : 0x00U});
      break;
    case Kind::kGue:
      outer(17, 12);
      append(frame, {0xc0, 0x01, 0, 0, 0, 0, 0, 0, 0, inner_protocol, 0, 0});
      set_word(frame, frame.size() - 10, spec.gue_port);
      set_word(frame, frame.size() - 8, 12 + inner_bytes);
      break;
  }
  append_ip(frame, spec.inner_source, spec.inner_destination, 6, spec.inner_class, spec.payload_bytes);
  for (std::size_t i = 0; i < spec.payload_bytes; ++i) frame.push_back(static_cast<std::uint8_t>(i));
  return frame;
}

}  // namespace anypop::backend
