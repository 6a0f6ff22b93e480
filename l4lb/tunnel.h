// SPDX-License-Identifier: Apache-2.0
// Encapsulation: the outer header of a backend, prebuilt, and how it is put before a packet.
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
#include <cstdint>

#include "base/config.h"
#include "flow.h"
#include "l4lb/pipeline.h"

namespace anypop::l4lb {

inline constexpr std::uint8_t kOuterTtl = 64;

// What lies between the Ethernet header and the inner packet.
enum class TunnelShape : std::uint8_t { kDirect, kIpip4, kIpip6, kGre4, kGre6, kGue4, kGue6 };

// One cache line.
struct alignas(64) Tunnel {
  // With zeros for what depends on the packet: IPv4's and IPv6's first word, lengths, source port, the last 32 bits of
  // the source address. IPv4's checksum field holds the sum of what does not vary.
  std::array<std::byte, kHeadroomBytes> header{};
  std::uint32_t first_source = 0;     // the last 32 bits of the first source address
  std::uint32_t sources = 1;          // how many source addresses there are, one after another
  std::uint16_t inner_max_bytes = 0;  // the largest packet that fits
  TunnelShape shape = TunnelShape::kDirect;
  bool udp_checksum = false;
};
static_assert(sizeof(Tunnel) == 64);

// The outer header for packets of family `inner` to `backend`. Preconditions: the service has a tunnel, and a
// tunnel_source of the backend's family. `mtu_bytes`: what the link takes.
Tunnel make_tunnel(const ServiceConfig& service, const IpAddress& backend, std::uint32_t mtu_bytes);

// Puts the outer header between the Ethernet header (with its tags) and the IP packet at `ip_offset`, which must be one
// that parse_ip() took. Ethernet padding is not taken along. kForward, kDropTooBig or kDropNoHeadroom; the last two
// leave the packet as it is.
template <class F>
Verdict encapsulate(const Tunnel& tunnel, std::uint32_t entropy, std::uint32_t ip_offset, Packet& packet);

}  // namespace anypop::l4lb
