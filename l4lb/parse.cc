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

template <class Header, class F>
IpFinding parse_ports(std::span<const std::byte> frame, std::uint32_t offset, std::uint32_t end, Flow<F>& flow) {
  if (!whole<Header>(offset, end)) return fault(Verdict::kDropTruncated);
  const View<Header> header(frame.data() + offset);
  flow.source_port = header[&Header::source_port];
  flow.destination_port = header[&Header::destination_port];
  return fault(Verdict::kForward);
}

template <class F>
IpFinding parse_transport(std::span<const std::byte> frame, std::uint32_t offset, std::uint32_t end, Flow<F>& flow) {
  if (flow.protocol == wire::IpProtocol::kTcp) return parse_ports<wire::Tcp>(frame, offset, end, flow);
  if (flow.protocol == wire::IpProtocol::kUdp) return parse_ports<wire::Udp>(frame, offset, end, flow);
  return fault(Verdict::kDropUnsupported);
}

// Walks from `offset` to the transport header: moves `offset` there and sets `protocol`. kForward when it arrives.
Verdict walk_extensions(std::span<const std::byte> frame, std::uint32_t& offset, std::uint32_t end,
                        wire::IpProtocol& protocol) {
  for (unsigned headers = 0;; ++headers) {
    const bool options = protocol == wire::IpProtocol::kDestinationOptions || protocol == wire::IpProtocol::kRouting ||
                         // RFC 8200 section 4.1: anywhere but first it is not recognized.
                         (protocol == wire::IpProtocol::kHopByHop && headers == 0);
    if (!options && protocol != wire::IpProtocol::kFragment) return Verdict::kForward;
    if (headers == kMaxExtensions) return Verdict::kDropUnsupported;
    if (protocol == wire::IpProtocol::kFragment) {
      if (!whole<wire::Ipv6Fragment>(offset, end)) return Verdict::kDropTruncated;
      const View<wire::Ipv6Fragment> fragment(frame.data() + offset);
      if (!fragment[&wire::Ipv6Fragment::offset_and_more].is_atomic()) return Verdict::kDropFragment;
      protocol = fragment[&wire::Ipv6Fragment::next_header];
      offset += sizeof(wire::Ipv6Fragment);
    } else {
      if (!whole<wire::Ipv6Extension>(offset, end)) return Verdict::kDropTruncated;
      const View<wire::Ipv6Extension> extension(frame.data() + offset);
      const std::uint32_t header_bytes = extension[&wire::Ipv6Extension::length].header_bytes();
      if (end - offset < header_bytes) return Verdict::kDropTruncated;
      protocol = extension[&wire::Ipv6Extension::next_header];
      offset += header_bytes;
    }
  }
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
  return {.next = Layer2::Next::kOther};
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
  if (header[&wire::Ipv4::flags_and_offset].is_fragment()) return fault(Verdict::kDropFragment);
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
  std::uint32_t offset = ip_offset + std::uint32_t{sizeof(wire::Ipv6)};
  const std::uint32_t end = ip_offset + total_bytes;
  const Verdict walked = walk_extensions(frame, offset, end, flow.protocol);
  if (walked != Verdict::kForward) return fault(walked);
  return parse_transport(frame, offset, end, flow);
}

}  // namespace anypop::l4lb
