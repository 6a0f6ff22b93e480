// SPDX-License-Identifier: Apache-2.0
#include "l4lb/punt_class.h"

#include <algorithm>

#include "parse.h"

namespace anypop::l4lb {
namespace {

constexpr std::uint16_t kBgp = 179;
constexpr std::array<std::uint16_t, 3> kBfd = {3784, 3785, 4784};
// ICMPv6: router solicitation to redirect.
constexpr std::uint8_t kDiscoveryFirst = 133;
constexpr std::uint8_t kDiscoveryLast = 137;

bool is_routing(wire::IpProtocol protocol, wire::be16 source, wire::be16 destination) {
  if (protocol == wire::IpProtocol::kTcp) return source.host() == kBgp || destination.host() == kBgp;
  return protocol == wire::IpProtocol::kUdp && std::ranges::find(kBfd, destination.host()) != kBfd.end();
}

template <class F>
bool is_reserved(const typename F::Address& address, std::span<const IpPrefix> probe_sources) {
  return std::ranges::any_of(probe_sources, [&](const IpPrefix& prefix) {
    return prefix.family() == F::kFamily && first_bits(address, prefix.length_bits()) == to_wire<F>(prefix.address());
  });
}

template <class F>
PuntClass classify(std::span<const std::byte> frame, std::uint32_t ip_offset, std::span<const IpPrefix> probe_sources) {
  Flow<F> flow{};
  const IpFinding found = parse_ip<F>(frame, ip_offset, flow);
  if (found.destination_known && is_reserved<F>(flow.destination, probe_sources)) return PuntClass::kProbes;
  if (flow.protocol == F::kIcmp) {
    if (found.fault != Verdict::kDropIcmp || found.transport_at >= frame.size()) return PuntClass::kIcmp;
    const auto type = std::to_integer<std::uint8_t>(frame[found.transport_at]);
    const bool discovery = F::kFamily == Family::kV6 && type >= kDiscoveryFirst && type <= kDiscoveryLast;
    return discovery ? PuntClass::kNeighbours : PuntClass::kIcmp;
  }
  if (found.fault != Verdict::kForward || found.fragment == Fragment::kLater) return PuntClass::kOther;
  return is_routing(flow.protocol, flow.source_port, flow.destination_port) ? PuntClass::kRouting : PuntClass::kOther;
}

}  // namespace

PuntClass punt_class(std::span<const std::byte> frame, std::span<const IpPrefix> probe_sources) {
  const Layer2 layer2 = parse_ethernet(frame);
  switch (layer2.next) {
    case Layer2::Next::kIpv4: return classify<V4>(frame, layer2.ip_offset, probe_sources);
    case Layer2::Next::kIpv6: return classify<V6>(frame, layer2.ip_offset, probe_sources);
    case Layer2::Next::kArp: return PuntClass::kNeighbours;
    case Layer2::Next::kOther:
    case Layer2::Next::kTruncated: break;
  }
  return PuntClass::kOther;
}

}  // namespace anypop::l4lb
