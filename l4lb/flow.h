// SPDX-License-Identifier: Apache-2.0
// The two address families and the 5-tuple. V4 and V6 hold every difference between the families; whatever works on
// either is a template over them, and parse decides once which.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "base/address.h"
#include "l4lb/wire.h"

namespace anypop::l4lb {

struct V4 {
  static constexpr Family kFamily = Family::kV4;
  using Address = wire::Ipv4Address;
  using Header = wire::Ipv4;
  static constexpr wire::IpProtocol kIcmp = wire::IpProtocol::kIcmp;
  // Rounds a flow up to one AES block.
  static constexpr std::size_t kFlowPadding = 3;
};

struct V6 {
  static constexpr Family kFamily = Family::kV6;
  using Address = wire::Ipv6Address;
  using Header = wire::Ipv6;
  static constexpr wire::IpProtocol kIcmp = wire::IpProtocol::kIcmpV6;
  // Rounds a flow up to three AES blocks.
  static constexpr std::size_t kFlowPadding = 11;
};

// What identifies a flow. It is hashed as bytes, so the padding is part of it and zero.
template <class F>
struct Flow {
  typename F::Address source;
  typename F::Address destination;
  wire::be16 source_port;
  wire::be16 destination_port;
  wire::IpProtocol protocol;
  std::array<std::uint8_t, F::kFlowPadding> padding;

  friend bool operator==(const Flow&, const Flow&) = default;
};
static_assert(sizeof(Flow<V4>) == 16 && std::has_unique_object_representations_v<Flow<V4>>);
static_assert(sizeof(Flow<V6>) == 48 && std::has_unique_object_representations_v<Flow<V6>>);

// The address with all bits behind the first `bits` zero.
template <class Address>
Address first_bits(const Address& address, unsigned bits) {
  using Word = std::conditional_t<sizeof(Address) % sizeof(std::uint64_t) == 0, std::uint64_t, std::uint32_t>;
  constexpr unsigned kWordBits = 8 * sizeof(Word);
  if (bits >= 8 * sizeof(Address)) return address;
  auto words = std::bit_cast<std::array<Word, sizeof(Address) / sizeof(Word)>>(address);
  for (unsigned i = 0; i < words.size(); ++i) {
    const unsigned kept = std::clamp(bits, kWordBits * i, kWordBits * (i + 1)) - kWordBits * i;
    const Word cleared = kept == kWordBits ? 0 : ~Word{0} >> kept;
    words[i] &= wire::BigEndian<Word>(~cleared).raw();
  }
  return std::bit_cast<Address>(words);
}

// The wire form of an address of this family. Precondition: it is of this family.
template <class F>
typename F::Address to_wire(const IpAddress& address);

}  // namespace anypop::l4lb
