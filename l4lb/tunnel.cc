// SPDX-License-Identifier: Apache-2.0
#include "tunnel.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "checksum.h"
#include "tunnel_write.h"

namespace anypop::l4lb {
namespace {

using wire::be16;
using wire::be32;
using wire::Edit;

constexpr unsigned kVariableBitsMax = 32;  // of a source address: more would not spread any better

TunnelShape shape_of(Forwarding forwarding, Family outer) {
  const bool v4 = outer == Family::kV4;
  switch (forwarding) {
    case Forwarding::kL2: return TunnelShape::kDirect;
    case Forwarding::kIpip: return v4 ? TunnelShape::kIpip4 : TunnelShape::kIpip6;
    case Forwarding::kGre: return v4 ? TunnelShape::kGre4 : TunnelShape::kGre6;
    case Forwarding::kGue: return v4 ? TunnelShape::kGue4 : TunnelShape::kGue6;
  }
  return TunnelShape::kDirect;
}

wire::IpProtocol outer_protocol(Forwarding forwarding, wire::IpProtocol inner) {
  switch (forwarding) {
    case Forwarding::kGre: return wire::IpProtocol::kGre;
    case Forwarding::kGue: return wire::IpProtocol::kUdp;
    default: return inner;
  }
}

// The first of the addresses that the source may take, and their number. Of a subnet the first address (and in IPv4 the
// last one) means something else, so it is left out.
template <class F>
typename F::Address first_source(const IpPrefix& prefix, std::uint32_t& count) {
  typename F::Address first = to_wire<F>(prefix.address());
  const auto address_bits = static_cast<unsigned>(sizeof(first) * 8);
  const unsigned bits = std::min(address_bits - prefix.length_bits(), kVariableBitsMax);
  count = 1U;
  if (bits == 0) return first;
  const std::uint64_t all = std::uint64_t{1} << bits;
  const std::uint64_t reserved = bits == 1 ? 0 : (F::kFamily == Family::kV4 ? 2 : 1);
  count = static_cast<std::uint32_t>(all - reserved);
  if (reserved > 0) reinterpret_cast<std::byte*>(&first)[sizeof(first) - 1] |= std::byte{1};
  return first;
}

template <class F>
std::uint32_t put_ip(const IpPrefix& source, const IpAddress& backend, wire::IpProtocol protocol, Tunnel& tunnel) {
  auto first =
      std::bit_cast<std::array<std::byte, sizeof(typename F::Address)>>(first_source<F>(source, tunnel.sources));
  be32 varies(0);
  std::byte* const last_word = first.data() + first.size() - sizeof(varies);
  std::memcpy(&varies, last_word, sizeof(varies));
  std::memset(last_word, 0, sizeof(varies));
  tunnel.first_source = varies.host();
  std::byte* const at = tunnel.header.data();
  if constexpr (F::kFamily == Family::kV4) {
    Edit<wire::Ipv4> header(at);
    header.set(&wire::Ipv4::flags_and_offset, {be16(wire::FlagsAndOffset::kDontFragment)})
        .set(&wire::Ipv4::ttl, kOuterTtl)
        .set(&wire::Ipv4::protocol, protocol)
        .set(&wire::Ipv4::destination, to_wire<V4>(backend));
    const std::uint16_t constant = fold(sum_words({at, sizeof(wire::Ipv4)}));
    header.set(&wire::Ipv4::checksum, be16(constant));
    return sizeof(wire::Ipv4);
  } else {
    Edit<wire::Ipv6>(at)
        .set(&wire::Ipv6::next_header, protocol)
        .set(&wire::Ipv6::hop_limit, kOuterTtl)
        .set(&wire::Ipv6::source, std::bit_cast<wire::Ipv6Address>(first))
        .set(&wire::Ipv6::destination, to_wire<V6>(backend));
    return sizeof(wire::Ipv6);
  }
}

}  // namespace

Tunnel make_tunnel(const ServiceConfig& service, const IpAddress& backend, std::uint32_t mtu_bytes) {
  const bool inner_v4 = service.vip.family() == Family::kV4;
  const wire::IpProtocol inner = inner_v4 ? wire::IpProtocol::kIpv4 : wire::IpProtocol::kIpv6;
  const wire::IpProtocol protocol = outer_protocol(service.forwarding, inner);
  const auto source = std::ranges::find_if(service.tunnel.sources,
                                           [&](const IpPrefix& prefix) { return prefix.family() == backend.family(); });
  assert(source != service.tunnel.sources.end());

  Tunnel tunnel;
  tunnel.shape = shape_of(service.forwarding, backend.family());
  std::uint32_t bytes = backend.family() == Family::kV4 ? put_ip<V4>(*source, backend, protocol, tunnel)
                                                        : put_ip<V6>(*source, backend, protocol, tunnel);
  std::byte* const behind_ip = tunnel.header.data() + bytes;
  if (service.forwarding == Forwarding::kGre) {
    const auto type = inner_v4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6;
    Edit<wire::Gre>(behind_ip).set(&wire::Gre::type, be16(static_cast<std::uint16_t>(type)));
    bytes += std::uint32_t{sizeof(wire::Gre)};
  } else if (service.forwarding == Forwarding::kGue) {
    Edit<wire::Udp>(behind_ip).set(&wire::Udp::destination_port, be16(service.tunnel.gue_port));
    Edit<wire::Gue>(behind_ip + sizeof(wire::Udp)).set(&wire::Gue::protocol, inner);
    bytes += std::uint32_t{sizeof(wire::Udp) + sizeof(wire::Gue)};
    tunnel.udp_checksum = backend.family() == Family::kV6 && !service.tunnel.gue_zero_checksum;
  }
  const std::uint32_t mtu = service.tunnel.mtu_bytes != 0 ? service.tunnel.mtu_bytes : mtu_bytes;
  tunnel.inner_max_bytes = static_cast<std::uint16_t>(std::clamp<std::uint32_t>(mtu, bytes, 65535) - bytes);
  return tunnel;
}

template <class F>
Verdict encapsulate(const Tunnel& tunnel, std::uint32_t entropy, std::uint32_t ip_offset, Packet& packet) {
  using tunnels::wrap;
  switch (tunnel.shape) {
    case TunnelShape::kDirect: break;
    case TunnelShape::kIpip4: return wrap<F, TunnelShape::kIpip4>(tunnel, entropy, ip_offset, packet);
    case TunnelShape::kIpip6: return wrap<F, TunnelShape::kIpip6>(tunnel, entropy, ip_offset, packet);
    case TunnelShape::kGre4: return wrap<F, TunnelShape::kGre4>(tunnel, entropy, ip_offset, packet);
    case TunnelShape::kGre6: return wrap<F, TunnelShape::kGre6>(tunnel, entropy, ip_offset, packet);
    case TunnelShape::kGue4: return wrap<F, TunnelShape::kGue4>(tunnel, entropy, ip_offset, packet);
    case TunnelShape::kGue6: return wrap<F, TunnelShape::kGue6>(tunnel, entropy, ip_offset, packet);
  }
  return Verdict::kForward;
}

template Verdict encapsulate<V4>(const Tunnel&, std::uint32_t, std::uint32_t, Packet&);
template Verdict encapsulate<V6>(const Tunnel&, std::uint32_t, std::uint32_t, Packet&);

}  // namespace anypop::l4lb
