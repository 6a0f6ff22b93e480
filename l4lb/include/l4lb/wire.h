// SPDX-License-Identifier: Apache-2.0
// Headers as they lie on the wire. A BigEndian value is no integer: it must be asked for host(), so that the two byte
// orders cannot be mixed by accident. Headers are read with memcpy (alignment does not matter), and only parse does it.
// RFC 791 (IPv4), 8200 (IPv6), 9293 (TCP), 768 (UDP); IEEE 802.3, 802.1Q.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace anypop::l4lb::wire {

template <std::unsigned_integral T>
class BigEndian {
 public:
  BigEndian() = default;
  explicit constexpr BigEndian(T host_value) : raw_(swapped(host_value)) {}

  constexpr T host() const { return swapped(raw_); }
  // The bytes as they lie in memory, for hashing and comparing only.
  constexpr T raw() const { return raw_; }

  friend constexpr bool operator==(const BigEndian&, const BigEndian&) = default;

 private:
  static constexpr T swapped(T value) {
    if constexpr (std::endian::native == std::endian::big || sizeof(T) == 1) return value;
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
  }
  T raw_;  // not initialized unless asked: bursts of headers live on the stack
};
using be16 = BigEndian<std::uint16_t>;
using be32 = BigEndian<std::uint32_t>;

enum class EtherType : std::uint16_t {
  kIpv4 = 0x0800,
  kVlan = 0x8100,  // 802.1Q
  kIpv6 = 0x86dd,
  kServiceVlan = 0x88a8,  // 802.1ad, the outer tag of QinQ
};

// Next Header of IPv6 and Protocol of IPv4 share one registry.
enum class IpProtocol : std::uint8_t {
  kHopByHop = 0,
  kTcp = 6,
  kUdp = 17,
  kRouting = 43,
  kFragment = 44,
  kDestinationOptions = 60,
};

struct Ethernet {
  std::array<std::uint8_t, 6> destination;
  std::array<std::uint8_t, 6> source;
  be16 type;
};
static_assert(sizeof(Ethernet) == 14 && offsetof(Ethernet, type) == 12);

// What follows the EtherType of a tagged frame.
struct VlanTag {
  be16 control;  // priority, drop eligible, VLAN id
  be16 type;     // of what follows the tag
};
static_assert(sizeof(VlanTag) == 4);

struct Ipv4Address {
  be32 value;
  friend constexpr bool operator==(const Ipv4Address&, const Ipv4Address&) = default;
};

struct Ipv6Address {
  std::array<std::uint8_t, 16> bytes;
  friend constexpr bool operator==(const Ipv6Address&, const Ipv6Address&) = default;
};

struct Ipv4 {
  std::uint8_t version_and_ihl;
  std::uint8_t dscp_and_ecn;
  be16 total_length;  // bytes, header included
  be16 identification;
  be16 flags_and_offset;
  std::uint8_t ttl;
  IpProtocol protocol;
  be16 checksum;
  Ipv4Address source;
  Ipv4Address destination;

  static constexpr std::uint16_t kMoreFragments = 0x2000;
  static constexpr std::uint16_t kOffsetMask = 0x1fff;  // in units of 8 bytes

  unsigned version() const { return version_and_ihl >> 4U; }
  std::uint32_t header_bytes() const { return (version_and_ihl & 0xfU) * 4U; }
  bool is_fragment() const { return (flags_and_offset.host() & (kMoreFragments | kOffsetMask)) != 0; }
};
static_assert(sizeof(Ipv4) == 20 && offsetof(Ipv4, protocol) == 9 && offsetof(Ipv4, destination) == 16);

struct Ipv6 {
  be32 version_class_label;
  be16 payload_length;  // bytes behind this header, extension headers included
  IpProtocol next_header;
  std::uint8_t hop_limit;
  Ipv6Address source;
  Ipv6Address destination;

  unsigned version() const { return version_class_label.host() >> 28U; }
};
static_assert(sizeof(Ipv6) == 40 && offsetof(Ipv6, next_header) == 6 && offsetof(Ipv6, destination) == 24);

// The common start of hop-by-hop options, destination options and routing headers.
struct Ipv6Extension {
  IpProtocol next_header;
  std::uint8_t length;  // in units of 8 bytes, the first 8 not counted

  std::uint32_t header_bytes() const { return (length + 1U) * 8U; }
};
static_assert(sizeof(Ipv6Extension) == 2);

struct Ipv6Fragment {
  IpProtocol next_header;
  std::uint8_t reserved;
  be16 offset_and_flags;
  be32 identification;

  static constexpr std::uint16_t kOffsetAndMore = 0xfff9;

  // Neither offset nor more to come: a whole packet that carries a fragment header (RFC 6946).
  bool is_atomic() const { return (offset_and_flags.host() & kOffsetAndMore) == 0; }
};
static_assert(sizeof(Ipv6Fragment) == 8);

struct Tcp {
  be16 source_port;
  be16 destination_port;
  be32 sequence;
  be32 acknowledgment;
  std::uint8_t data_offset;
  std::uint8_t flags;
  be16 window;
  be16 checksum;
  be16 urgent;
};
static_assert(sizeof(Tcp) == 20);

struct Udp {
  be16 source_port;
  be16 destination_port;
  be16 length;
  be16 checksum;
};
static_assert(sizeof(Udp) == 8);

static_assert(std::is_trivially_copyable_v<Ethernet> && std::is_trivially_copyable_v<VlanTag> &&
              std::is_trivially_copyable_v<Ipv4> && std::is_trivially_copyable_v<Ipv6> &&
              std::is_trivially_copyable_v<Ipv6Fragment> && std::is_trivially_copyable_v<Tcp>);

}  // namespace anypop::l4lb::wire
