// SPDX-License-Identifier: Apache-2.0
// Frames written as one reads them:
//
//   const Frame frame = eth().vlan(7).ip({.destination = "198.51.100.1"}).tcp({.destination = 80}).payload(32).build();
//
// Lengths, next-header fields and checksums are filled in by build() unless a field sets them, so a wrong packet is one
// that says what is wrong with it. Shares nothing with the engine: it is a second opinion on the wire formats.
// Misuse (a bad address, a transport header before an IP header) throws std::invalid_argument: for tests only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace anypop::l4lb_testing {

using Frame = std::vector<std::byte>;

struct EthFields {
  std::string_view destination = "02:00:00:00:00:01";
  std::string_view source = "02:00:00:00:00:02";
};

// For both families; the destination's text decides which. The defaults of the addresses are the family's.
struct IpFields {
  std::string_view source;       // default 192.0.2.10 or 2001:db8:c::10
  std::string_view destination;  // required
  std::uint8_t ttl = 64;
  std::uint8_t traffic_class = 0;
  std::optional<std::uint8_t> version;
  std::optional<std::uint8_t> protocol;
  // IPv4: the total length; IPv6: the payload length.
  std::optional<std::uint16_t> length;
  // IPv4 only.
  std::uint8_t option_bytes = 0;  // a multiple of 4, at most 40
  std::optional<std::uint8_t> ihl;
  std::uint16_t identification = 0;
  std::uint16_t fragment_offset = 0;  // in units of 8 bytes
  bool more_fragments = false;
  bool dont_fragment = false;
  // IPv6 only.
  std::uint32_t flow_label = 0;
};

struct FragmentFields {      // of IPv6
  std::uint16_t offset = 0;  // in units of 8 bytes
  bool more = false;
  std::uint32_t identification = 1;
};

struct TcpFields {
  std::uint16_t source = 40000;
  std::uint16_t destination = 80;
  std::uint8_t flags = 0x10;  // ACK
  std::uint32_t sequence = 1;
  std::uint32_t acknowledgment = 1;
};

struct UdpFields {
  std::uint16_t source = 40000;
  std::uint16_t destination = 53;
  bool zero_checksum = false;
};

struct IcmpFields {
  std::uint8_t type = 8;
  std::uint8_t code = 0;
  std::uint32_t rest = 0;  // identifier and sequence number, MTU, …
};

class PacketBuilder {
 public:
  explicit PacketBuilder(const EthFields& fields);

  PacketBuilder& vlan(std::uint16_t id, std::uint16_t tag_type = 0x8100);
  PacketBuilder& ether_type(std::uint16_t type);  // instead of the one of the next header
  PacketBuilder& ip(const IpFields& fields);
  // IPv6 extension headers; `bytes` is a multiple of 8.
  PacketBuilder& hop_by_hop(std::size_t bytes = 8) { return extension(0, bytes); }
  PacketBuilder& routing(std::size_t bytes = 8) { return extension(43, bytes); }
  PacketBuilder& destination_options(std::size_t bytes = 8) { return extension(60, bytes); }
  PacketBuilder& extension(std::uint8_t protocol, std::size_t bytes);
  PacketBuilder& fragment(const FragmentFields& fields);
  PacketBuilder& tcp(const TcpFields& fields = {});
  PacketBuilder& udp(const UdpFields& fields = {});
  PacketBuilder& icmp(const IcmpFields& fields);  // ICMP or ICMPv6, by the family
  PacketBuilder& payload(std::size_t bytes);
  PacketBuilder& raw(std::span<const std::byte> bytes);
  // After everything else is filled in: zeros behind the packet up to `bytes`; the frame cut to its first `bytes`.
  PacketBuilder& pad_to(std::size_t bytes);
  PacketBuilder& cut_to(std::size_t bytes);
  PacketBuilder& cut_last(std::size_t bytes);

  Frame build() const;
  operator Frame() const { return build(); }  // NOLINT: rows of tables read better so

 private:
  PacketBuilder& next_header(std::uint8_t protocol);
  PacketBuilder& ipv4(const IpFields& fields);
  PacketBuilder& ipv6(const IpFields& fields);
  void finish_ip(Frame& frame) const;
  void finish_transport(Frame& frame) const;
  std::uint32_t pseudo_header_sum(const Frame& frame) const;

  Frame bytes_;
  std::size_t type_at_ = 0;  // of the EtherType that names what comes next
  std::size_t next_at_ = 0;  // of the next-header byte that names what comes next
  std::size_t ip_at_ = 0;    // 0: none yet
  bool v4_ = false;
  std::size_t transport_at_ = 0;  // 0: none yet
  std::uint8_t transport_ = 0;
  bool zero_checksum_ = false;
  IpFields ip_fields_;
  std::size_t padded_bytes_ = 0;
  std::optional<std::size_t> cut_bytes_;
  std::size_t cut_last_bytes_ = 0;
};

inline PacketBuilder eth(const EthFields& fields = {}) { return PacketBuilder(fields); }

// The frame with other MAC addresses: what an l2 forwarder makes of it.
Frame with_macs(Frame frame, std::string_view destination, std::string_view source);

// Rows of 16 bytes in hexadecimal, for messages.
std::string hex(std::span<const std::byte> bytes);

// The one's complement sum of RFC 1071 over `bytes`, not folded.
std::uint32_t checksum_sum(std::span<const std::byte> bytes, std::uint32_t sum = 0);
std::uint16_t checksum_fold(std::uint32_t sum);

}  // namespace anypop::l4lb_testing
