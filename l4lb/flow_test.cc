// SPDX-License-Identifier: Apache-2.0
#include "flow.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <gtest/gtest.h>

namespace anypop::l4lb {
namespace {

template <class Address>
void expect_first_bits_of(const Address& address) {
  using Bytes = std::array<std::uint8_t, sizeof(Address)>;
  const auto before = std::bit_cast<Bytes>(address);
  for (unsigned bits = 0; bits <= 8 * sizeof(Address); ++bits) {
    Bytes expected{};
    for (unsigned bit = 0; bit < bits; ++bit)
      expected[bit / 8] = static_cast<std::uint8_t>(expected[bit / 8] | (before[bit / 8] & (0x80U >> (bit % 8))));
    EXPECT_EQ(std::bit_cast<Bytes>(first_bits(address, bits)), expected) << bits;
  }
}

TEST(FirstBits, OfIpv4) {
  expect_first_bits_of(wire::Ipv4Address{wire::be32(0xffff'ffff)});
  expect_first_bits_of(wire::Ipv4Address{wire::be32(0xc633'64a5)});
}

TEST(FirstBits, OfIpv6) {
  wire::Ipv6Address address{};
  for (std::size_t i = 0; i < sizeof(address); ++i)
    reinterpret_cast<std::uint8_t*>(&address)[i] = static_cast<std::uint8_t>(0x87U + 29 * i);
  expect_first_bits_of(address);
  for (std::size_t i = 0; i < sizeof(address); ++i) reinterpret_cast<std::uint8_t*>(&address)[i] = 0xff;
  expect_first_bits_of(address);
}

}  // namespace
}  // namespace anypop::l4lb
