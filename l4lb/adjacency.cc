// SPDX-License-Identifier: Apache-2.0
#include "adjacency.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "checksum.h"
#include "rewrite.h"

namespace anypop::l4lb {
namespace {

using wire::be16;
using wire::be32;
using wire::Edit;

constexpr unsigned kVariableBitsMax = 32;  // of a source address: more would not spread any better

Shape shape_of(Forwarding forwarding, Family outer) {
  const bool v4 = outer == Family::kV4;
  switch (forwarding) {
    case Forwarding::kL2: return Shape::kDirect;
    case Forwarding::kIpip: return v4 ? Shape::kIpip4 : Shape::kIpip6;
    case Forwarding::kGre: return v4 ? Shape::kGre4 : Shape::kGre6;
    case Forwarding::kGue: return v4 ? Shape::kGue4 : Shape::kGue6;
  }
  return Shape::kDirect;
}

wire::IpProtocol outer_protocol(Forwarding forwarding, wire::IpProtocol inner) {
  switch (forwarding) {
    case Forwarding::kGre: return wire::IpProtocol::kGre;
    case Forwarding::kGue: return wire::IpProtocol::kUdp;
    default: return inner;
  }
}

std::byte* outer_of(Adjacency& adjacency) { return adjacency.rewrite.data() + Adjacency::kEthernetBytes; }

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
std::uint32_t put_ip(const IpPrefix& source, const IpAddress& backend, wire::IpProtocol protocol,
                     Adjacency& adjacency) {
  auto first =
      std::bit_cast<std::array<std::byte, sizeof(typename F::Address)>>(first_source<F>(source, adjacency.sources));
  be32 varies(0);
  std::byte* const last_word = first.data() + first.size() - sizeof(varies);
  std::memcpy(&varies, last_word, sizeof(varies));
  std::memset(last_word, 0, sizeof(varies));
  adjacency.first_source = varies.host();
  std::byte* const at = outer_of(adjacency);
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

// Behind the outer IP header, `bytes` of the outer header already. Returns the bytes of the whole.
std::uint32_t put_shim(const ServiceConfig& service, wire::IpProtocol inner, std::uint32_t bytes,
                       Adjacency& adjacency) {
  std::byte* const at = outer_of(adjacency) + bytes;
  if (service.forwarding == Forwarding::kGre) {
    const auto type = inner == wire::IpProtocol::kIpv4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6;
    Edit<wire::Gre>(at).set(&wire::Gre::type, be16(static_cast<std::uint16_t>(type)));
    return bytes + std::uint32_t{sizeof(wire::Gre)};
  }
  if (service.forwarding == Forwarding::kGue) {
    Edit<wire::Udp>(at).set(&wire::Udp::destination_port, be16(service.tunnel.gue_port));
    Edit<wire::Gue>(at + sizeof(wire::Udp)).set(&wire::Gue::protocol, inner);
    return bytes + std::uint32_t{sizeof(wire::Udp) + sizeof(wire::Gue)};
  }
  return bytes;
}

// What the pseudo-header of RFC 8200 section 8.1 and the outer header have in common for all packets.
void put_udp6_sum(Adjacency& adjacency) {
  std::byte* const at = outer_of(adjacency);
  constexpr std::size_t kShimBytes = rewrite::Outer<Shape::kGue6>::kShimBytes;
  const std::uint64_t sum = sum_words({at + offsetof(wire::Ipv6, source), 2 * sizeof(wire::Ipv6Address) + kShimBytes}) +
                            static_cast<std::uint8_t>(wire::IpProtocol::kUdp);
  Edit<wire::Udp>(at + sizeof(wire::Ipv6)).set(&wire::Udp::checksum, be16(fold(sum)));
}

void put_tunnel(const ServiceConfig& service, const IpAddress& backend, std::uint32_t mtu_bytes, Adjacency& adjacency) {
  const bool outer_v4 = backend.family() == Family::kV4;
  const wire::IpProtocol inner =
      service.vip.family() == Family::kV4 ? wire::IpProtocol::kIpv4 : wire::IpProtocol::kIpv6;
  const wire::IpProtocol protocol = outer_protocol(service.forwarding, inner);
  const auto source = std::ranges::find_if(service.tunnel.sources,
                                           [&](const IpPrefix& prefix) { return prefix.family() == backend.family(); });
  assert(source != service.tunnel.sources.end());

  const be16 type(static_cast<std::uint16_t>(outer_v4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6));
  Edit<wire::Ethernet>(adjacency.rewrite.data()).set(&wire::Ethernet::type, type);
  std::uint32_t bytes =
      outer_v4 ? put_ip<V4>(*source, backend, protocol, adjacency) : put_ip<V6>(*source, backend, protocol, adjacency);
  bytes = put_shim(service, inner, bytes, adjacency);
  adjacency.udp_checksum = service.forwarding == Forwarding::kGue && !outer_v4 && !service.tunnel.gue_zero_checksum;
  if (adjacency.udp_checksum) put_udp6_sum(adjacency);
  const std::uint32_t mtu = service.tunnel.mtu_bytes != 0 ? service.tunnel.mtu_bytes : mtu_bytes;
  adjacency.inner_max_bytes = static_cast<std::uint16_t>(std::clamp<std::uint32_t>(mtu, bytes, 65535) - bytes);
}

}  // namespace

Adjacency make_adjacency(const ServiceConfig& service, const IpAddress& backend, std::optional<MacAddress> next_hop,
                         const MacAddress& source, std::uint32_t mtu_bytes) {
  Adjacency adjacency;
  if (!next_hop) return adjacency;
  adjacency.shape = shape_of(service.forwarding, backend.family());
  Edit<wire::Ethernet>(adjacency.rewrite.data())
      .set(&wire::Ethernet::destination, next_hop->bytes())
      .set(&wire::Ethernet::source, source.bytes());
  if (service.forwarding != Forwarding::kL2) put_tunnel(service, backend, mtu_bytes, adjacency);
  return adjacency;
}

template <class F>
Verdict send_by(const Adjacency& adjacency, std::uint32_t entropy, Packet& packet) {
  using rewrite::wrap;
  const std::uint32_t at = packet.ip_offset;
  switch (adjacency.shape) {
    case Shape::kNowhere: break;
    case Shape::kDirect: return rewrite::readdress(adjacency, packet);
    case Shape::kIpip4: return wrap<F, Shape::kIpip4>(adjacency, entropy, at, packet);
    case Shape::kIpip6: return wrap<F, Shape::kIpip6>(adjacency, entropy, at, packet);
    case Shape::kGre4: return wrap<F, Shape::kGre4>(adjacency, entropy, at, packet);
    case Shape::kGre6: return wrap<F, Shape::kGre6>(adjacency, entropy, at, packet);
    case Shape::kGue4: return wrap<F, Shape::kGue4>(adjacency, entropy, at, packet);
    case Shape::kGue6: return wrap<F, Shape::kGue6>(adjacency, entropy, at, packet);
  }
  return Verdict::kDropNextHopUnresolved;
}

template Verdict send_by<V4>(const Adjacency&, std::uint32_t, Packet&);
template Verdict send_by<V6>(const Adjacency&, std::uint32_t, Packet&);

}  // namespace anypop::l4lb
