// SPDX-License-Identifier: Apache-2.0
#include "l4lb/header_bytes.h"

#include <algorithm>

#include "icmp.h"
#include "parse.h"
#include "quic.h"
#include "snapshot_layout.h"

namespace anypop::l4lb {
namespace {

constexpr std::uint32_t kQuicVersionBytes = 5;  // first byte and version: whether it is an Initial

// What UDP carries, as far as it is looked at: the connection ID if the flow's service routes by it; whether a datagram
// that is large enough for it opens a connection, if the service remembers flows.
template <class F>
std::uint32_t udp_carried_bytes(const Snapshot& snapshot, const Flow<F>& flow, std::uint32_t datagram_bytes) {
  const ServiceTable<F>& services = snapshot.services_of<F>();
  const PackedKey<F> key = pack(flow);
  const std::uint16_t service = services.find(services.finder().home(key), key);
  if (service == ServiceTable<F>::kNoService) return 0;
  if (!snapshot.quic.empty() && snapshot.quic[service].any()) return kQuicHeaderBytes;
  const bool remembers = snapshot.tracking[service].track != Track::kNever;
  return remembers && datagram_bytes >= kQuicInitialBytes ? kQuicVersionBytes : 0;
}

// The same of a transport header and of what is behind it.
template <class F>
std::uint32_t transport_bytes(const Snapshot& snapshot, std::span<const std::byte> frame, const IpFinding& found,
                              const Flow<F>& flow) {
  constexpr std::uint32_t kUdp = sizeof(wire::Udp);
  if (found.fault == Verdict::kDropIcmp) return icmp_header_bytes<F>(frame, found);
  // An extension header that says it is longer than the packet; or nothing has been read there.
  if (found.fault == Verdict::kDropTruncated) return sizeof(wire::Ipv6Extension);
  if (found.fault != Verdict::kForward) return 0;
  if (flow.protocol == wire::IpProtocol::kTcp) return sizeof(wire::Tcp);
  if (found.fragment != Fragment::kWhole) return kUdp;
  return kUdp + udp_carried_bytes<F>(snapshot, flow, found.end - found.transport_at - kUdp);
}

template <class F>
std::uint32_t ip_header_bytes(const Snapshot& snapshot, std::span<const std::byte> frame, std::uint32_t ip_offset) {
  Flow<F> flow;
  const IpFinding found = parse_ip<F>(frame, ip_offset, flow);
  const std::uint32_t fixed = ip_offset + std::uint32_t{sizeof(typename F::Header)};
  const bool ours = found.destination_known && snapshot.services_of<F>().has_vip(flow.destination);
  if (!ours || found.transport_at == 0) return fixed;
  return found.transport_at + transport_bytes<F>(snapshot, frame, found, flow);
}

}  // namespace

std::uint32_t header_bytes(const Snapshot& snapshot, std::span<const std::byte> frame) {
  const Layer2 layer2 = parse_ethernet(frame);
  std::uint32_t least = sizeof(wire::Ethernet) + kMaxVlanTags * sizeof(wire::VlanTag);
  if (layer2.next == Layer2::Next::kIpv4) least = ip_header_bytes<V4>(snapshot, frame, layer2.ip_offset);
  if (layer2.next == Layer2::Next::kIpv6) least = ip_header_bytes<V6>(snapshot, frame, layer2.ip_offset);
  return std::min(least, static_cast<std::uint32_t>(frame.size()));
}

}  // namespace anypop::l4lb
