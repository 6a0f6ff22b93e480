// SPDX-License-Identifier: Apache-2.0
#include <bit>

#include "l4lb_testing/reference_engine.h"

namespace anypop::l4lb_testing {
namespace {

using Byte = std::uint8_t;

// GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, bit by bit.
Byte times(Byte a, Byte b) {
  unsigned product = 0;
  for (unsigned bit = 0; bit < 8; ++bit) {
    if (((unsigned{b} >> bit) & 1U) != 0) product ^= unsigned{a} << bit;
  }
  for (unsigned bit = 15; bit >= 8; --bit) {
    if (((product >> bit) & 1U) != 0) product ^= 0x11bU << (bit - 8);
  }
  return static_cast<Byte>(product);
}

Byte substitute(Byte a) {
  Byte inverse = 1;  // a^254
  for (int i = 0; i < 254; ++i) inverse = times(inverse, a);
  return static_cast<Byte>(inverse ^ std::rotl(inverse, 1) ^ std::rotl(inverse, 2) ^ std::rotl(inverse, 3) ^
                           std::rotl(inverse, 4) ^ 0x63);
}

Byte sbox(Byte a) {
  static const std::array<Byte, 256> table = [] {
    std::array<Byte, 256> made{};
    for (unsigned i = 0; i < 256; ++i) made[i] = substitute(static_cast<Byte>(i));
    return made;
  }();
  return table[a];
}

Byte doubled(Byte a) { return static_cast<Byte>(a < 0x80 ? a * 2 : (a * 2) ^ 0x11b); }
Byte tripled(Byte a) { return static_cast<Byte>(doubled(a) ^ a); }

Key added(Key a, const Key& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<Byte>(a[i] ^ b[i]);
  return a;
}

// Byte r + 4c is row r of column c.
Key shifted_and_substituted(const Key& state) {
  Key next{};
  for (std::size_t column = 0; column < 4; ++column) {
    for (std::size_t row = 0; row < 4; ++row) next[row + 4 * column] = sbox(state[row + 4 * ((column + row) % 4)]);
  }
  return next;
}

Key mixed(const Key& state) {
  Key next{};
  for (std::size_t column = 0; column < 16; column += 4) {
    for (std::size_t row = 0; row < 4; ++row) {
      next[column + row] = static_cast<Byte>(doubled(state[column + row]) ^ tripled(state[column + (row + 1) % 4]) ^
                                             state[column + (row + 2) % 4] ^ state[column + (row + 3) % 4]);
    }
  }
  return next;
}

std::array<Key, 11> round_keys(const Key& key) {
  std::array<std::array<Byte, 4>, 44> words{};
  for (std::size_t i = 0; i < 16; ++i) words[i / 4][i % 4] = key[i];
  Byte constant = 1;
  for (std::size_t i = 4; i < words.size(); ++i) {
    std::array<Byte, 4> word = words[i - 1];
    if (i % 4 == 0) {
      word = {static_cast<Byte>(sbox(word[1]) ^ constant), sbox(word[2]), sbox(word[3]), sbox(word[0])};
      constant = doubled(constant);
    }
    for (std::size_t j = 0; j < 4; ++j) words[i][j] = static_cast<Byte>(words[i - 4][j] ^ word[j]);
  }
  std::array<Key, 11> keys{};
  for (std::size_t i = 0; i < 176; ++i) keys[i / 16][i % 16] = words[i / 4][i % 4];
  return keys;
}

Key round(const Key& state, const Key& key) { return added(mixed(shifted_and_substituted(state)), key); }

}  // namespace

Key reference_aes128(const Key& key, const Key& plain) {
  const std::array<Key, 11> keys = round_keys(key);
  Key state = added(plain, keys[0]);
  for (std::size_t i = 1; i < 10; ++i) state = round(state, keys[i]);
  return added(shifted_and_substituted(state), keys[10]);
}

std::uint64_t reference_hash(const Key& key, const std::vector<std::uint8_t>& source,
                             const std::vector<std::uint8_t>& destination, std::uint16_t source_port,
                             std::uint16_t destination_port, std::uint8_t protocol) {
  const std::array<Byte, 5> end = {static_cast<Byte>(source_port >> 8U), static_cast<Byte>(source_port & 0xffU),
                                   static_cast<Byte>(destination_port >> 8U),
                                   static_cast<Byte>(destination_port & 0xffU), protocol};
  Key state{};
  if (source.size() == 4) {
    for (std::size_t i = 0; i < 4; ++i) state[i] = source[i];
    for (std::size_t i = 0; i < 4; ++i) state[4 + i] = destination[i];
    for (std::size_t i = 0; i < end.size(); ++i) state[8 + i] = end[i];
  } else {
    Byte counter = 0;
    const auto derived = [&] {
      Key plain;
      plain.fill(0xff);
      plain[15] = counter++;
      return reference_aes128(key, plain);
    };
    for (std::size_t i = 0; i < 16; ++i) state[i] = source[i];
    state = added(state, derived());
    for (int i = 0; i < 4; ++i) state = round(state, derived());
    for (std::size_t i = 0; i < 16; ++i) state[i] = static_cast<Byte>(state[i] ^ destination[i]);
    for (int i = 0; i < 4; ++i) state = round(state, derived());
    for (std::size_t i = 0; i < end.size(); ++i) state[i] = static_cast<Byte>(state[i] ^ end[i]);
  }
  const Key cipher = reference_aes128(key, state);
  std::uint64_t hash = 0;
  for (unsigned i = 0; i < 8; ++i) hash |= std::uint64_t{cipher[i]} << (8 * i);
  return hash;
}

}  // namespace anypop::l4lb_testing
