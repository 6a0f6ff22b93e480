// SPDX-License-Identifier: Apache-2.0
// The Internet checksum (RFC 1071). Sums are of host-order 16-bit words, unfolded, so that parts can be added up.
#pragma once

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

// An odd last byte counts as if a zero followed. `bytes` may begin anywhere, but in a whole message at an even offset.
inline std::uint64_t sum_words(std::span<const std::byte> bytes) {
  // Words are added as they lie, 32 bits at a time, and the byte order is put right once: the sum does not mind
  // (RFC 1071 section 2).
  std::uint64_t raw = 0;
  std::size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) {
    std::uint32_t word;
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    raw += word;
  }
  std::uint32_t rest = 0;
  if (at < bytes.size()) std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
  return std::bit_cast<wire::be16>(fold(raw + rest)).host();
}

inline wire::be16 checksum(std::uint64_t sum) { return wire::be16(static_cast<std::uint16_t>(~fold(sum))); }

}  // namespace anypop::l4lb
