// SPDX-License-Identifier: Apache-2.0
// AES by tables (FIPS 197), for processors without instructions for it.
#include <bit>
#include <cstring>

#include "aes_engines.h"

namespace anypop::l4lb::portable {
namespace {

constexpr std::uint8_t times_x(std::uint8_t a) {
  return static_cast<std::uint8_t>((unsigned{a} << 1U) ^ ((a & 0x80U) != 0 ? 0x1bU : 0U));
}

// Section 5.1.1, computed by walking a generator (3) and its inverse through the field together.
constexpr std::array<std::uint8_t, 256> make_sbox() {
  std::array<std::uint8_t, 256> sbox{};
  std::uint8_t p = 1;
  std::uint8_t q = 1;
  do {
    p = static_cast<std::uint8_t>(p ^ times_x(p));
    q = static_cast<std::uint8_t>(q ^ (q << 1U));
    q = static_cast<std::uint8_t>(q ^ (q << 2U));
    q = static_cast<std::uint8_t>(q ^ (q << 4U));
    if ((q & 0x80U) != 0) q = static_cast<std::uint8_t>(q ^ 0x09U);
    sbox[p] =
        static_cast<std::uint8_t>(q ^ std::rotl(q, 1) ^ std::rotl(q, 2) ^ std::rotl(q, 3) ^ std::rotl(q, 4) ^ 0x63);
  } while (p != 1);
  sbox[0] = 0x63;
  return sbox;
}
constexpr auto kSbox = make_sbox();

// SubBytes and MixColumns of one byte: the column (2s, s, s, 3s), its first byte lowest.
constexpr std::array<std::uint32_t, 256> make_columns() {
  std::array<std::uint32_t, 256> columns{};
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::uint32_t s = kSbox[i];
    const std::uint32_t s2 = times_x(kSbox[i]);
    columns[i] = s2 | (s << 8U) | (s << 16U) | ((s2 ^ s) << 24U);
  }
  return columns;
}
constexpr auto kColumns = make_columns();

using State = std::array<std::uint32_t, 4>;  // columns, first byte lowest

constexpr std::uint32_t little_endian(std::uint32_t value) {
  return std::endian::native == std::endian::little ? value : __builtin_bswap32(value);
}

State load(const void* bytes) {
  State state;
  std::memcpy(state.data(), bytes, sizeof(state));
  for (std::uint32_t& column : state) column = little_endian(column);
  return state;
}

State operator^(const State& a, const State& b) { return {a[0] ^ b[0], a[1] ^ b[1], a[2] ^ b[2], a[3] ^ b[3]}; }

// Row `row` of column `column` after ShiftRows.
std::uint8_t shifted(const State& state, unsigned column, unsigned row) {
  return static_cast<std::uint8_t>(state[(column + row) % 4] >> (8 * row));
}

State round(const State& state, const AesBlock& key) {
  State next;
  for (unsigned column = 0; column < 4; ++column) {
    next[column] = kColumns[shifted(state, column, 0)] ^ std::rotl(kColumns[shifted(state, column, 1)], 8) ^
                   std::rotl(kColumns[shifted(state, column, 2)], 16) ^
                   std::rotl(kColumns[shifted(state, column, 3)], 24);
  }
  return next ^ load(key.data());
}

State last_round(const State& state, const AesBlock& key) {
  State next{};
  for (unsigned column = 0; column < 4; ++column) {
    for (unsigned row = 0; row < 4; ++row) {
      next[column] |= std::uint32_t{kSbox[shifted(state, column, row)]} << (8 * row);
    }
  }
  return next ^ load(key.data());
}

State encrypt(const FlowKeys& keys, State state) {
  state = state ^ load(keys.cipher[0].data());
  for (unsigned i = 1; i < FlowKeys::kRounds; ++i) state = round(state, keys.cipher[i]);
  return last_round(state, keys.cipher[FlowKeys::kRounds]);
}

std::uint64_t low_half(const State& state) { return state[0] | (std::uint64_t{state[1]} << 32U); }

}  // namespace

AesBlock encrypt(const FlowKeys& keys, const AesBlock& plain) {
  State state = encrypt(keys, load(plain.data()));
  for (std::uint32_t& column : state) column = little_endian(column);
  AesBlock cipher;
  std::memcpy(cipher.data(), state.data(), sizeof(cipher));
  return cipher;
}

std::array<AesBlock, FlowKeys::kRounds + 1> expand_cipher_key(const AesBlock& key) {
  std::array<AesBlock, FlowKeys::kRounds + 1> keys{};
  keys[0] = key;
  std::uint8_t round_constant = 1;
  for (unsigned i = 1; i <= FlowKeys::kRounds; ++i) {
    const AesBlock& previous = keys[i - 1];
    for (unsigned byte = 0; byte < 16; ++byte) {
      std::uint8_t mixed = byte < 4 ? kSbox[previous[12 + (byte + 1) % 4]] : keys[i][byte - 4];
      if (byte == 0) mixed ^= round_constant;
      keys[i][byte] = static_cast<std::uint8_t>(previous[byte] ^ mixed);
    }
    round_constant = times_x(round_constant);
  }
  return keys;
}

void hash(const FlowKeys& keys, std::span<const Flow<V4>> flows, std::span<std::uint64_t> hashes) {
  for (std::size_t i = 0; i < flows.size(); ++i) hashes[i] = low_half(encrypt(keys, load(&flows[i])));
}

void hash(const FlowKeys& keys, std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes) {
  for (std::size_t i = 0; i < flows.size(); ++i) {
    State state = load(&flows[i].source) ^ load(keys.whitening.data());
    for (const AesBlock& key : keys.absorb[0]) state = round(state, key);
    state = state ^ load(&flows[i].destination);
    for (const AesBlock& key : keys.absorb[1]) state = round(state, key);
    state = state ^ load(&flows[i].source_port);
    hashes[i] = low_half(encrypt(keys, state));
  }
}

}  // namespace anypop::l4lb::portable
