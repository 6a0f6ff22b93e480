// SPDX-License-Identifier: Apache-2.0
// How packets reach a backend: what stands before the IP packet, prebuilt, MAC addresses and an outer header where the
// service has a tunnel.
//
//   ipip  IP in IP, all four pairs of families      RFC 2003, 2473, 4213
//   gre   GRE without options                       RFC 2784, 7676
//   gue   UDP and four bytes of GUE, variant 0      draft-ietf-intarea-gue
//
// So that routers and the backend's NIC spread the flows of one backend, the outer header varies with the flow: its
// source address takes the host bits of the configured prefix, and moreover the UDP source port (gue) and the IPv6 flow
// label (RFC 6438) do. All packets of a flow have the same one.
//
// DSCP and ECN are copied from the inner header: normal mode of RFC 6040, and the uniform model of RFC 2983. The outer
// TTL is kOuterTtl; the inner one stays (see pipeline.cc). The outer IPv4 header says "don't fragment" and has
// identification 0 (RFC 6864): whether the packet fits is known here. UDP checksum: over IPv4 zero, as RFC 768 allows;
// over IPv6 computed over the whole datagram, unless the configuration makes it zero (RFC 6935; the backend must have
// agreed to it, and RFC 6936 section 5 lists what else must hold: here it is a path that the operator controls).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/config.h"
#include "flow.h"
#include "l4lb/pipeline.h"
#include "l4lb/wire.h"

namespace anypop::l4lb {

inline constexpr std::uint8_t kOuterTtl = 64;

// What lies between the Ethernet header and the packet; kNowhere: the next hop has no MAC address yet.
enum class Shape : std::uint8_t { kNowhere, kDirect, kIpip4, kIpip6, kGre4, kGre6, kGue4, kGue6 };

// Two cache lines, of which the second one begins in the last bytes of an outer IPv6 header.
struct alignas(64) Adjacency {
  static constexpr std::size_t kEthernetBytes = sizeof(wire::Ethernet);

  std::uint32_t first_source = 0;     // the last 32 bits of the first source address
  std::uint32_t sources = 1;          // how many source addresses there are, one after another
  std::uint16_t inner_max_bytes = 0;  // the largest packet that fits
  Shape shape = Shape::kNowhere;
  bool udp_checksum = false;
  // As an untagged frame begins: MAC addresses, EtherType of the outer header, and that with zeros for what depends on
  // the packet: IPv4's and IPv6's first word, lengths, source port, the last 32 bits of the source address. The
  // checksum fields, of IPv4 and (if udp_checksum) of UDP, hold the sum of what does not vary.
  std::array<std::byte, kEthernetBytes + kHeadroomBytes> rewrite{};

  friend bool operator==(const Adjacency&, const Adjacency&) = default;
  template <class H>
  friend H AbslHashValue(H hash, const Adjacency& a) {
    return H::combine(std::move(hash), a.first_source, a.sources, a.inner_max_bytes, a.shape, a.udp_checksum,
                      a.rewrite);
  }
};
static_assert(sizeof(Adjacency) == 128);

// To the backend with that address, by the next hop with that MAC address (nullopt: there is none yet). Precondition:
// if the service has a tunnel, it has a tunnel_source of the backend's family. `mtu_bytes`: what the link takes.
Adjacency make_adjacency(const ServiceConfig& service, const IpAddress& backend, std::optional<MacAddress> next_hop,
                         const MacAddress& source, std::uint32_t mtu_bytes);

// Makes the packet at packet.ip_offset, which must be one that parse_ip() took, leave by the adjacency; tags stay, and
// padding is not taken into a tunnel. `entropy`: the same for all packets of a flow. kForward, kDropNextHopUnresolved,
// kDropTooBig or kDropNoHeadroom; but for the first, the packet stays as it is.
template <class F>
Verdict send_by(const Adjacency& adjacency, std::uint32_t entropy, Packet& packet);

}  // namespace anypop::l4lb
