// SPDX-License-Identifier: Apache-2.0
// Headers as they lie on the wire. A BigEndian value is no integer: it must be asked for host(), so that the two byte
// orders cannot be mixed by accident. Headers are never laid over a packet: a View copies single fields out of it with
// memcpy, so alignment and aliasing do not matter, and only parse makes Views.
// An Edit stores single fields in the same way.
// RFC 791 (IPv4), 8200 (IPv6), 9293 (TCP), 768 (UDP), 792 and 4443 (ICMP), 2784 (GRE), draft-ietf-intarea-gue (GUE);
// IEEE 802.3, 802.1Q.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
  kArp = 0x0806,
  kVlan = 0x8100,  // 802.1Q
  kIpv6 = 0x86dd,
  kServiceVlan = 0x88a8,  // 802.1ad, the outer tag of QinQ
};

// Next Header of IPv6 and Protocol of IPv4 share one registry.
enum class IpProtocol : std::uint8_t {
  kHopByHop = 0,
  kIcmp = 1,
  kIpv4 = 4,  // a whole packet: RFC 2003
  kTcp = 6,
  kUdp = 17,
  kIpv6 = 41,  // a whole packet: RFC 2473, 4213
  kRouting = 43,
  kFragment = 44,
  kGre = 47,
  kIcmpV6 = 58,
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

struct VersionAndIhl {
  std::uint8_t raw;
  unsigned version() const { return raw >> 4U; }
  std::uint32_t header_bytes() const { return (raw & 0xfU) * 4U; }
};

struct FlagsAndOffset {
  be16 raw;
  static constexpr std::uint16_t kDontFragment = 0x4000;
  static constexpr std::uint16_t kMoreFragmentsOrOffset = 0x3fff;
  static constexpr std::uint16_t kOffset = 0x1fff;
  bool is_fragment() const { return (raw.raw() & be16(kMoreFragmentsOrOffset).raw()) != 0; }
  bool is_later_fragment() const { return (raw.host() & kOffset) != 0; }
};

struct Ipv4 {
  VersionAndIhl version_and_ihl;
  std::uint8_t dscp_and_ecn;
  be16 total_length;  // bytes, header included
  be16 identification;
  FlagsAndOffset flags_and_offset;
  std::uint8_t ttl;
  IpProtocol protocol;
  be16 checksum;
  Ipv4Address source;
  Ipv4Address destination;
};
static_assert(sizeof(Ipv4) == 20 && offsetof(Ipv4, protocol) == 9 && offsetof(Ipv4, destination) == 16);

struct VersionClassLabel {
  be32 raw;
  unsigned version() const { return raw.host() >> 28U; }
  std::uint8_t traffic_class() const { return static_cast<std::uint8_t>(raw.host() >> 20U); }
};

struct Ipv6 {
  VersionClassLabel version_class_label;
  be16 payload_length;  // bytes behind this header, extension headers included
  IpProtocol next_header;
  std::uint8_t hop_limit;
  Ipv6Address source;
  Ipv6Address destination;
};
static_assert(sizeof(Ipv6) == 40 && offsetof(Ipv6, next_header) == 6 && offsetof(Ipv6, destination) == 24);

struct ExtensionLength {
  std::uint8_t raw;  // in units of 8 bytes, the first 8 not counted
  std::uint32_t header_bytes() const { return (raw + 1U) * 8U; }
};

// The common start of hop-by-hop options, destination options and routing headers.
struct Ipv6Extension {
  IpProtocol next_header;
  ExtensionLength length;
};
static_assert(sizeof(Ipv6Extension) == 2);

struct OffsetAndMore {
  be16 raw;
  static constexpr std::uint16_t kBits = 0xfff9;
  // Neither offset nor more to come: a whole packet that carries a fragment header (RFC 6946).
  bool is_atomic() const { return (raw.host() & kBits) == 0; }
  static constexpr std::uint16_t kOffset = 0xfff8;
  bool is_later_fragment() const { return (raw.host() & kOffset) != 0; }
};

struct Ipv6Fragment {
  IpProtocol next_header;
  std::uint8_t reserved;
  OffsetAndMore offset_and_more;
  be32 identification;
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

// Of ICMP and ICMPv6.
struct Icmp {
  std::uint8_t type;
  std::uint8_t code;
  be16 checksum;
  be32 rest;  // by type: identifier and sequence number, MTU, …
};
static_assert(sizeof(Icmp) == 8);

// Without checksum, key and sequence number (RFC 2784).
struct Gre {
  be16 flags_and_version;
  be16 type;  // an EtherType
};
static_assert(sizeof(Gre) == 4);

// Variant 0, without flags and options.
struct Gue {
  std::uint8_t version_and_length;
  IpProtocol protocol;  // of what is inside
  be16 flags;
};
static_assert(sizeof(Gue) == 4);

// A header at a place in a packet, of which single fields are read: view[&Ipv4::protocol]. Copying the whole header
// first would be simpler, but compilers do it in 16-byte pieces, and reading a field across two of them then waits for
// both stores (measured: 5 ns a packet).
template <class Header>
class View {
  static_assert(std::is_trivially_copyable_v<Header> && std::is_standard_layout_v<Header>);

 public:
  // Precondition: sizeof(Header) bytes lie at `bytes`.
  explicit View(const std::byte* bytes) : bytes_(bytes) {}

  template <class Field>
  Field operator[](Field Header::*field) const {
    static constexpr Header kLayout{};
    const auto offset = reinterpret_cast<const char*>(&(kLayout.*field)) - reinterpret_cast<const char*>(&kLayout);
    Field value;
    std::memcpy(&value, bytes_ + offset, sizeof(value));
    return value;
  }

 private:
  const std::byte* bytes_;
};

// The same for storing: Edit<Ipv4>(bytes).set(&Ipv4::ttl, 64).
template <class Header>
class Edit {
  static_assert(std::is_trivially_copyable_v<Header> && std::is_standard_layout_v<Header>);

 public:
  // Precondition: sizeof(Header) bytes lie at `bytes`.
  explicit Edit(std::byte* bytes) : bytes_(bytes) {}

  template <class Field>
  Edit& set(Field Header::*field, std::type_identity_t<Field> value) {
    static constexpr Header kLayout{};
    const auto offset = reinterpret_cast<const char*>(&(kLayout.*field)) - reinterpret_cast<const char*>(&kLayout);
    std::memcpy(bytes_ + offset, &value, sizeof(value));
    return *this;
  }

 private:
  std::byte* bytes_;
};

}  // namespace anypop::l4lb::wire
