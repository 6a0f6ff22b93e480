// SPDX-License-Identifier: Apache-2.0
// The Internet checksum (RFC 1071). Sums are of 16-bit words, unfolded, so that parts can be added up.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "l4lb/wire.h"

namespace anypop::l4lb {

inline std::uint16_t fold(std::uint64_t sum) {
  // The upper half of a number plus itself with the halves exchanged is their sum, the carry already added.
  sum += std::rotl(sum, 32);
  const auto half = static_cast<std::uint32_t>(sum >> 32U);
  return static_cast<std::uint16_t>((half + std::rotl(half, 16)) >> 16U);
}

// The sum of the words as they lie on the wire; the byte order is put right once, at the end, because the sum does not
// mind (RFC 1071 section 2). An odd last byte counts as if a zero followed. `bytes` may begin anywhere, but in a whole
// message at an even offset.
inline std::uint64_t sum_raw(std::span<const std::byte> bytes) {
  using Words [[gnu::vector_size(16)]] = std::uint64_t;
  constexpr std::uint64_t kLowerHalf = 0xffff'ffffU;
  Words lower{};
  Words upper{};
  std::size_t at = 0;
  for (; at + sizeof(Words) <= bytes.size(); at += sizeof(Words)) {
    Words words;
    std::memcpy(&words, bytes.data() + at, sizeof(words));
    lower += words & kLowerHalf;
    upper += words >> 32U;
  }
  std::uint64_t sum = lower[0] + lower[1] + upper[0] + upper[1];
  const auto take = [&](auto word) {
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    sum += word;
    at += sizeof(word);
  };
  while (at + sizeof(std::uint32_t) <= bytes.size()) take(std::uint32_t{});
  if (at + sizeof(std::uint16_t) <= bytes.size()) take(std::uint16_t{});
  if (at == bytes.size()) return sum;
  const std::array<std::byte, 2> last = {bytes[at], std::byte{0}};
  return sum + std::bit_cast<std::uint16_t>(last);
}

// The same in host order.
inline std::uint64_t sum_words(std::span<const std::byte> bytes) {
  return std::bit_cast<wire::be16>(fold(sum_raw(bytes))).host();
}

// Of a sum_raw().
inline wire::be16 checksum_raw(std::uint64_t sum) {
  return std::bit_cast<wire::be16>(static_cast<std::uint16_t>(~fold(sum)));
}

// Of a sum_words().
inline wire::be16 checksum(std::uint64_t sum) { return wire::be16(static_cast<std::uint16_t>(~fold(sum))); }

}  // namespace anypop::l4lb
