// SPDX-License-Identifier: Apache-2.0
#include "parse.h"

namespace anypop::l4lb {
namespace {

using wire::View;

// Does a header at `offset` lie before `end` (at most the frame's size) as a whole?
template <class Header>
bool whole(std::uint32_t offset, std::uint32_t end) {
  return offset <= end && end - offset >= sizeof(Header);
}

IpFinding fault(Verdict verdict) { return {.fault = verdict, .destination_known = true}; }

IpFinding arrived(Verdict verdict, std::uint32_t transport_at, std::uint32_t end) {
  IpFinding found = fault(verdict);
  found.transport_at = transport_at;
  found.end = end;
  return found;
}

template <class Header, class F>
IpFinding parse_ports(std::span<const std::byte> frame, std::uint32_t offset, std::uint32_t end, Flow<F>& flow) {
  if (!whole<Header>(offset, end)) return arrived(Verdict::kDropTruncated, offset, end);
  const View<Header> header(frame.data() + offset);
  flow.source_port = header[&Header::source_port];
  flow.destination_port = header[&Header::destination_port];
  return arrived(Verdict::kForward, offset, end);
}

template <class F>
IpFinding parse_transport(std::span<const std::byte> frame, std::uint32_t offset, std::uint32_t end, Flow<F>& flow) {
  if (flow.protocol == wire::IpProtocol::kTcp) return parse_ports<wire::Tcp>(frame, offset, end, flow);
  if (flow.protocol == wire::IpProtocol::kUdp) return parse_ports<wire::Udp>(frame, offset, end, flow);
  if (flow.protocol != F::kIcmp) return arrived(Verdict::kDropUnsupported, offset, end);
  if (!whole<wire::Icmp>(offset, end)) return arrived(Verdict::kDropTruncated, offset, end);
  return arrived(Verdict::kDropIcmp, offset, end);
}

template <class F>
IpFinding parse_first_fragment(std::span<const std::byte> frame, std::uint32_t offset, std::uint32_t end,
                               std::uint32_t id, Flow<F>& flow) {
  IpFinding found = parse_transport(frame, offset, end, flow);
  if (found.fault == Verdict::kDropIcmp) found.fault = Verdict::kDropFragment;
  found.fragment = Fragment::kFirst;
  found.fragment_id = id;
  return found;
}

IpFinding later_fragment(std::uint32_t id, std::uint32_t payload_at, std::uint32_t end) {
  IpFinding found = arrived(Verdict::kDropFragment, payload_at, end);
  found.fragment = Fragment::kLater;
  found.fragment_id = id;
  return found;
}

// A walk along extension headers: where it stands, and what it has met.
struct Walk {
  std::uint32_t offset;
  wire::IpProtocol protocol;
  Fragment fragment = Fragment::kWhole;
  std::uint32_t fragment_id = 0;
};

// Steps over the fragment header at walk.offset.
Verdict walk_fragment(std::span<const std::byte> frame, std::uint32_t end, Walk& walk) {
  if (!whole<wire::Ipv6Fragment>(walk.offset, end)) return Verdict::kDropTruncated;
  const View<wire::Ipv6Fragment> header(frame.data() + walk.offset);
  const wire::OffsetAndMore position = header[&wire::Ipv6Fragment::offset_and_more];
  walk.protocol = header[&wire::Ipv6Fragment::next_header];
  walk.offset += std::uint32_t{sizeof(wire::Ipv6Fragment)};
  if (position.is_atomic()) return Verdict::kForward;
  walk.fragment = position.is_later_fragment() ? Fragment::kLater : Fragment::kFirst;
  walk.fragment_id = header[&wire::Ipv6Fragment::identification].host();
  // What follows in a later fragment is no header.
  return walk.fragment == Fragment::kLater ? Verdict::kDropFragment : Verdict::kForward;
}

// Walks on to the transport header. kForward when it arrives.
Verdict walk_extensions(std::span<const std::byte> frame, std::uint32_t end, Walk& walk) {
  for (unsigned headers = 0;; ++headers) {
    const bool options = walk.protocol == wire::IpProtocol::kDestinationOptions ||
                         walk.protocol == wire::IpProtocol::kRouting ||
                         // RFC 8200 section 4.1: anywhere but first it is not recognized.
                         (walk.protocol == wire::IpProtocol::kHopByHop && headers == 0);
    if (!options && walk.protocol != wire::IpProtocol::kFragment) return Verdict::kForward;
    if (headers == kMaxExtensions) return Verdict::kDropUnsupported;
    if (walk.protocol == wire::IpProtocol::kFragment) {
      if (const Verdict verdict = walk_fragment(frame, end, walk); verdict != Verdict::kForward) return verdict;
    } else {
      if (!whole<wire::Ipv6Extension>(walk.offset, end)) return Verdict::kDropTruncated;
      const View<wire::Ipv6Extension> extension(frame.data() + walk.offset);
      const std::uint32_t header_bytes = extension[&wire::Ipv6Extension::length].header_bytes();
      if (end - walk.offset < header_bytes) return Verdict::kDropTruncated;
      walk.protocol = extension[&wire::Ipv6Extension::next_header];
      walk.offset += header_bytes;
    }
  }
}

// Both begin with them.
struct Ports {
  wire::be16 source;
  wire::be16 destination;
};

// Whether a quotation holds a flow, and how much of it was looked at to know.
struct Quotation {
  bool usable;
  std::uint32_t bytes;
};

template <class F>
Quotation read_quoted_ports(std::span<const std::byte> quoted, std::uint32_t offset, Flow<F>& flow) {
  if (flow.protocol != wire::IpProtocol::kTcp && flow.protocol != wire::IpProtocol::kUdp) return {false, offset};
  const auto end = static_cast<std::uint32_t>(quoted.size());
  if (!whole<Ports>(offset, end)) return {false, end};
  const View<Ports> ports(quoted.data() + offset);
  flow.source_port = ports[&Ports::source];
  flow.destination_port = ports[&Ports::destination];
  return {true, offset + std::uint32_t{sizeof(Ports)}};
}

Quotation read_quoted(std::span<const std::byte> quoted, Flow<V4>& flow) {
  constexpr std::uint32_t kFixed = sizeof(wire::Ipv4);
  if (quoted.size() < kFixed) return {false, static_cast<std::uint32_t>(quoted.size())};
  const View<wire::Ipv4> header(quoted.data());
  const wire::VersionAndIhl version_and_ihl = header[&wire::Ipv4::version_and_ihl];
  if (version_and_ihl.version() != 4 || version_and_ihl.header_bytes() < kFixed) return {false, kFixed};
  if (header[&wire::Ipv4::flags_and_offset].is_later_fragment()) return {false, kFixed};
  flow = {.source = header[&wire::Ipv4::source],
          .destination = header[&wire::Ipv4::destination],
          .protocol = header[&wire::Ipv4::protocol]};
  return read_quoted_ports(quoted, version_and_ihl.header_bytes(), flow);
}

Quotation read_quoted(std::span<const std::byte> quoted, Flow<V6>& flow) {
  const auto end = static_cast<std::uint32_t>(quoted.size());
  if (end < sizeof(wire::Ipv6)) return {false, end};
  const View<wire::Ipv6> header(quoted.data());
  if (header[&wire::Ipv6::version_class_label].version() != 6) return {false, sizeof(wire::Ipv6)};
  flow = {.source = header[&wire::Ipv6::source], .destination = header[&wire::Ipv6::destination]};
  Walk walk{.offset = sizeof(wire::Ipv6), .protocol = header[&wire::Ipv6::next_header]};
  const Verdict walked = walk_extensions(quoted, end, walk);
  if (walked != Verdict::kForward) return {false, walked == Verdict::kDropTruncated ? end : walk.offset};
  flow.protocol = walk.protocol;
  return read_quoted_ports(quoted, walk.offset, flow);
}

}  // namespace

Layer2 parse_ethernet(std::span<const std::byte> frame) {
  const auto end = static_cast<std::uint32_t>(frame.size());
  if (!whole<wire::Ethernet>(0, end)) return {};
  std::uint32_t offset = sizeof(wire::Ethernet);
  auto type = static_cast<wire::EtherType>(View<wire::Ethernet>(frame.data())[&wire::Ethernet::type].host());
  for (unsigned tags = 0; tags < kMaxVlanTags; ++tags) {
    if (type != wire::EtherType::kVlan && type != wire::EtherType::kServiceVlan) break;
    if (!whole<wire::VlanTag>(offset, end)) return {};
    const View<wire::VlanTag> tag(frame.data() + offset);
    type = static_cast<wire::EtherType>(tag[&wire::VlanTag::type].host());
    offset += sizeof(wire::VlanTag);
  }
  if (type == wire::EtherType::kIpv4) return {.next = Layer2::Next::kIpv4, .ip_offset = offset};
  if (type == wire::EtherType::kIpv6) return {.next = Layer2::Next::kIpv6, .ip_offset = offset};
  return {.next = type == wire::EtherType::kArp ? Layer2::Next::kArp : Layer2::Next::kOther};
}

template <>
IpFinding parse_ip<V4>(std::span<const std::byte> frame, std::uint32_t ip_offset, Flow<V4>& flow) {
  const auto available = static_cast<std::uint32_t>(frame.size()) - ip_offset;
  if (available < sizeof(wire::Ipv4)) return {.fault = Verdict::kDropTruncated};
  const View<wire::Ipv4> header(frame.data() + ip_offset);
  const wire::VersionAndIhl version_and_ihl = header[&wire::Ipv4::version_and_ihl];
  if (version_and_ihl.version() != 4) return {.fault = Verdict::kDropMalformed};
  flow = {.source = header[&wire::Ipv4::source],
          .destination = header[&wire::Ipv4::destination],
          .protocol = header[&wire::Ipv4::protocol]};

  const std::uint32_t header_bytes = version_and_ihl.header_bytes();
  const std::uint32_t total_bytes = header[&wire::Ipv4::total_length].host();
  if (header_bytes < sizeof(wire::Ipv4)) return fault(Verdict::kDropMalformed);
  if (total_bytes < header_bytes) return fault(Verdict::kDropMalformed);
  if (total_bytes > available) return fault(Verdict::kDropTruncated);
  const wire::FlagsAndOffset position = header[&wire::Ipv4::flags_and_offset];
  if (position.is_fragment()) {
    const std::uint32_t id = header[&wire::Ipv4::identification].host();
    if (position.is_later_fragment()) return later_fragment(id, ip_offset + header_bytes, ip_offset + total_bytes);
    return parse_first_fragment(frame, ip_offset + header_bytes, ip_offset + total_bytes, id, flow);
  }
  return parse_transport(frame, ip_offset + header_bytes, ip_offset + total_bytes, flow);
}

template <>
IpFinding parse_ip<V6>(std::span<const std::byte> frame, std::uint32_t ip_offset, Flow<V6>& flow) {
  const auto available = static_cast<std::uint32_t>(frame.size()) - ip_offset;
  if (available < sizeof(wire::Ipv6)) return {.fault = Verdict::kDropTruncated};
  const View<wire::Ipv6> header(frame.data() + ip_offset);
  if (header[&wire::Ipv6::version_class_label].version() != 6) return {.fault = Verdict::kDropMalformed};
  flow = {.source = header[&wire::Ipv6::source],
          .destination = header[&wire::Ipv6::destination],
          .protocol = header[&wire::Ipv6::next_header]};

  const std::uint32_t total_bytes = std::uint32_t{sizeof(wire::Ipv6)} + header[&wire::Ipv6::payload_length].host();
  if (total_bytes > available) return fault(Verdict::kDropTruncated);
  Walk walk{.offset = ip_offset + std::uint32_t{sizeof(wire::Ipv6)}, .protocol = flow.protocol};
  const std::uint32_t end = ip_offset + total_bytes;
  const Verdict walked = walk_extensions(frame, end, walk);
  if (walk.fragment == Fragment::kLater) return later_fragment(walk.fragment_id, walk.offset, end);
  if (walked != Verdict::kForward) return arrived(walked, walk.offset, end);
  flow.protocol = walk.protocol;
  if (walk.fragment == Fragment::kFirst) return parse_first_fragment(frame, walk.offset, end, walk.fragment_id, flow);
  return parse_transport(frame, walk.offset, end, flow);
}

template <class F>
std::span<const std::byte> udp_payload(std::span<const std::byte> frame, std::uint32_t ip_offset) {
  Flow<F> flow;
  const IpFinding found = parse_ip<F>(frame, ip_offset, flow);
  if (found.fault != Verdict::kForward || found.fragment != Fragment::kWhole) return {};
  if (flow.protocol != wire::IpProtocol::kUdp) return {};
  return frame.subspan(found.transport_at + sizeof(wire::Udp), found.end - found.transport_at - sizeof(wire::Udp));
}

template std::span<const std::byte> udp_payload<V4>(std::span<const std::byte> frame, std::uint32_t ip_offset);
template std::span<const std::byte> udp_payload<V6>(std::span<const std::byte> frame, std::uint32_t ip_offset);

template <class F>
bool parse_quoted(std::span<const std::byte> quoted, Flow<F>& flow) {
  return read_quoted(quoted, flow).usable;
}
template bool parse_quoted<V4>(std::span<const std::byte> quoted, Flow<V4>& flow);
template bool parse_quoted<V6>(std::span<const std::byte> quoted, Flow<V6>& flow);

template <class F>
std::uint32_t quoted_header_bytes(std::span<const std::byte> quoted) {
  Flow<F> flow;
  return read_quoted(quoted, flow).bytes;
}
template std::uint32_t quoted_header_bytes<V4>(std::span<const std::byte> quoted);
template std::uint32_t quoted_header_bytes<V6>(std::span<const std::byte> quoted);

}  // namespace anypop::l4lb
