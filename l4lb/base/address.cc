// SPDX-License-Identifier: Apache-2.0
#include "base/address.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <optional>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"

namespace anypop {

std::string_view family_name(Family family) { return family == Family::kV4 ? "IPv4" : "IPv6"; }

absl::StatusOr<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  std::array<std::uint8_t, 16> raw{};
  if (inet_pton(AF_INET, terminated.c_str(), raw.data()) == 1) return from_bytes({raw.data(), 4});
  if (inet_pton(AF_INET6, terminated.c_str(), raw.data()) == 1) return from_bytes({raw.data(), 16});
  return invalid_argument("found '{}', expected an IPv4 or IPv6 address", text);
}

IpAddress IpAddress::from_bytes(absl::Span<const std::uint8_t> bytes) {
  assert(bytes.size() == 4 || bytes.size() == 16);
  IpAddress address;
  address.family_ = bytes.size() == 4 ? Family::kV4 : Family::kV6;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family_ == Family::kV4 ? AF_INET : AF_INET6, bytes_.data(), text.data(), text.size());
  return text.data();
}

namespace {

bool bit_at(absl::Span<const std::uint8_t> bytes, unsigned index) {
  return ((static_cast<unsigned>(bytes[index / 8]) >> (7U - index % 8U)) & 1U) != 0;
}

}  // namespace

absl::StatusOr<IpPrefix> IpPrefix::parse(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '/');
  IpPrefix prefix;
  const auto length = parts.size() == 2 ? parse_number<unsigned>(parts[1], 0, 128) : std::nullopt;
  const auto address = IpAddress::parse(parts[0]);
  if (!length || !address.ok() || *length > address->bytes().size() * 8) {
    return invalid_argument("found '{}', expected a prefix such as 192.0.2.0/24 or 2001:db8::/48", text);
  }
  prefix.length_bits_ = *length;
  prefix.address_ = *address;
  for (unsigned i = prefix.length_bits_; i < address->bytes().size() * 8; ++i) {
    if (bit_at(address->bytes(), i)) {
      return invalid_argument("found '{}', expected no bits set behind the prefix length", text);
    }
  }
  return prefix;
}

IpPrefix IpPrefix::of(const IpAddress& address) {
  IpPrefix prefix;
  prefix.address_ = address;
  prefix.length_bits_ = static_cast<unsigned>(address.bytes().size() * 8);
  return prefix;
}

bool IpPrefix::contains(const IpAddress& address) const {
  if (address.family() != family()) return false;
  for (unsigned i = 0; i < length_bits_; ++i) {
    if (bit_at(address.bytes(), i) != bit_at(address_.bytes(), i)) return false;
  }
  return true;
}

std::string IpPrefix::to_string() const { return fmt::format("{}/{}", address_.to_string(), length_bits_); }

absl::StatusOr<MacAddress> MacAddress::parse(std::string_view text) {
  const std::vector<std::string_view> octets = split(text, ':');
  std::array<std::uint8_t, 6> bytes{};
  bool good = octets.size() == bytes.size();
  for (std::size_t i = 0; good && i < bytes.size(); ++i) {
    const char* const end = octets[i].data() + octets[i].size();
    good = octets[i].size() == 2 && std::from_chars(octets[i].data(), end, bytes[i], 16).ptr == end;
  }
  if (!good) {
    return invalid_argument("found '{}', expected a MAC address such as 02:00:5e:10:00:01", text);
  }
  return MacAddress(bytes);
}

std::string MacAddress::to_string() const { return fmt::format("{:02x}", fmt::join(bytes_, ":")); }

}  // namespace anypop
