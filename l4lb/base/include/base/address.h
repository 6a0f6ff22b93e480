// SPDX-License-Identifier: Apache-2.0
// Addresses as the control path handles them: IPv4 and IPv6 under one type, prefixes, and Ethernet MACs. Values,
// ordered and hashable, safe on any thread. The packet path has wire types of its own (l4lb/wire.h).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

namespace anypop {

enum class Family : std::uint8_t { kV4, kV6 };

// "IPv4" or "IPv6", for messages.
std::string_view family_name(Family family);

// An IPv4 or IPv6 address in network byte order.
class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0

  // Textual form per RFC 4291 section 2.2 or dotted quad; no zone, no prefix length. InvalidArgument names the text.
  static absl::StatusOr<IpAddress> parse(std::string_view text);
  // 4 or 16 bytes in network order; anything else is a programming error.
  static IpAddress from_bytes(absl::Span<const std::uint8_t> bytes);

  Family family() const { return family_; }
  absl::Span<const std::uint8_t> bytes() const { return {bytes_.data(), family_ == Family::kV4 ? 4U : 16U}; }
  std::string to_string() const;  // canonical (RFC 5952)

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
  friend std::strong_ordering operator<=>(const IpAddress&, const IpAddress&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& a) {
    return H::combine(std::move(h), a.family_, a.bytes_);
  }

 private:
  Family family_ = Family::kV4;
  std::array<std::uint8_t, 16> bytes_{};
};

// An address and a length in bits. Host bits are zero: parse() refuses "10.0.0.1/8".
class IpPrefix {
 public:
  IpPrefix() = default;

  static absl::StatusOr<IpPrefix> parse(std::string_view text);
  // All of the address: /32 or /128.
  static IpPrefix of(const IpAddress& address);

  const IpAddress& address() const { return address_; }
  unsigned length_bits() const { return length_bits_; }
  Family family() const { return address_.family(); }
  bool contains(const IpAddress& address) const;
  bool contains(const IpPrefix& other) const { return other.length_bits_ >= length_bits_ && contains(other.address_); }
  std::string to_string() const;

  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;
  friend std::strong_ordering operator<=>(const IpPrefix&, const IpPrefix&) = default;

 private:
  IpAddress address_;
  unsigned length_bits_ = 0;
};

// A 48-bit IEEE 802 address.
class MacAddress {
 public:
  MacAddress() = default;
  explicit MacAddress(std::array<std::uint8_t, 6> bytes) : bytes_(bytes) {}

  // Six hexadecimal octets separated by colons.
  static absl::StatusOr<MacAddress> parse(std::string_view text);

  const std::array<std::uint8_t, 6>& bytes() const { return bytes_; }
  std::string to_string() const;

  friend bool operator==(const MacAddress&, const MacAddress&) = default;
  friend std::strong_ordering operator<=>(const MacAddress&, const MacAddress&) = default;

 private:
  std::array<std::uint8_t, 6> bytes_{};
};

}  // namespace anypop
