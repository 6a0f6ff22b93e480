// SPDX-License-Identifier: Apache-2.0
#include "parse.h"

#include <cstring>

namespace anypop::l4lb {
namespace {

// Copies a header out of the packet when it lies before `end` (at most the frame's size) as a whole.
template <class Header>
bool read(std::span<const std::byte> frame, std::uint32_t offset, std::uint32_t end, Header& header) {
  if (end < offset || end - offset < sizeof(Header)) return false;
  std::memcpy(&header, frame.data() + offset, sizeof(Header));
  return true;
}

IpFinding fault(Verdict verdict) { return {.fault = verdict, .destination_known = true}; }

template <class Header, class F>
IpFinding parse_ports(std::span<const std::byte> frame, std::uint32_t offset, std::uint32_t end, Flow<F>& flow) {
  Header header;
  if (!read(frame, offset, end, header)) return fault(Verdict::kDropTruncated);
  flow.source_port = header.source_port;
  flow.destination_port = header.destination_port;
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
      wire::Ipv6Fragment fragment;
      if (!read(frame, offset, end, fragment)) return Verdict::kDropTruncated;
      if (!fragment.is_atomic()) return Verdict::kDropFragment;
      protocol = fragment.next_header;
      offset += sizeof(fragment);
    } else {
      wire::Ipv6Extension extension;
      if (!read(frame, offset, end, extension)) return Verdict::kDropTruncated;
      if (end - offset < extension.header_bytes()) return Verdict::kDropTruncated;
      protocol = extension.next_header;
      offset += extension.header_bytes();
    }
  }
}

}  // namespace

Layer2 parse_ethernet(std::span<const std::byte> frame) {
  const auto end = static_cast<std::uint32_t>(frame.size());
  wire::Ethernet ethernet;
  if (!read(frame, 0, end, ethernet)) return {};
  std::uint32_t offset = sizeof(ethernet);
  auto type = static_cast<wire::EtherType>(ethernet.type.host());
  for (unsigned tags = 0; tags < kMaxVlanTags; ++tags) {
    if (type != wire::EtherType::kVlan && type != wire::EtherType::kServiceVlan) break;
    wire::VlanTag tag;
    if (!read(frame, offset, end, tag)) return {};
    offset += sizeof(tag);
    type = static_cast<wire::EtherType>(tag.type.host());
  }
  if (type == wire::EtherType::kIpv4) return {.next = Layer2::Next::kIpv4, .ip_offset = offset};
  if (type == wire::EtherType::kIpv6) return {.next = Layer2::Next::kIpv6, .ip_offset = offset};
  return {.next = Layer2::Next::kOther};
}

template <>
IpFinding parse_ip<V4>(std::span<const std::byte> frame, std::uint32_t ip_offset, Flow<V4>& flow) {
  const auto available = static_cast<std::uint32_t>(frame.size()) - ip_offset;
  wire::Ipv4 header;
  if (!read(frame, ip_offset, ip_offset + available, header)) return {.fault = Verdict::kDropTruncated};
  if (header.version() != 4) return {.fault = Verdict::kDropMalformed};
  flow = {.source = header.source, .destination = header.destination, .protocol = header.protocol};

  const std::uint32_t total_bytes = header.total_length.host();
  if (header.header_bytes() < sizeof(header)) return fault(Verdict::kDropMalformed);
  if (total_bytes < header.header_bytes()) return fault(Verdict::kDropMalformed);
  if (total_bytes > available) return fault(Verdict::kDropTruncated);
  if (header.is_fragment()) return fault(Verdict::kDropFragment);
  return parse_transport(frame, ip_offset + header.header_bytes(), ip_offset + total_bytes, flow);
}

template <>
IpFinding parse_ip<V6>(std::span<const std::byte> frame, std::uint32_t ip_offset, Flow<V6>& flow) {
  const auto available = static_cast<std::uint32_t>(frame.size()) - ip_offset;
  wire::Ipv6 header;
  if (!read(frame, ip_offset, ip_offset + available, header)) return {.fault = Verdict::kDropTruncated};
  if (header.version() != 6) return {.fault = Verdict::kDropMalformed};
  flow = {.source = header.source, .destination = header.destination, .protocol = header.next_header};

  const std::uint32_t total_bytes = std::uint32_t{sizeof(header)} + header.payload_length.host();
  if (total_bytes > available) return fault(Verdict::kDropTruncated);
  std::uint32_t offset = ip_offset + std::uint32_t{sizeof(header)};
  const std::uint32_t end = ip_offset + total_bytes;
  const Verdict walked = walk_extensions(frame, offset, end, flow.protocol);
  if (walked != Verdict::kForward) return fault(walked);
  return parse_transport(frame, offset, end, flow);
}

}  // namespace anypop::l4lb
