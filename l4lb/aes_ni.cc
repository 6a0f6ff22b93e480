// SPDX-License-Identifier: Apache-2.0
// AES-NI. The functions carry their own target attribute, so that the rest of the program runs on any x86-64.
#include <cassert>
#include <cstring>

#include "aes_engines.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace anypop::l4lb::aesni {
namespace {

#define ANYPOP_TARGET_AES __attribute__((target("aes,sse4.1")))

ANYPOP_TARGET_AES inline __m128i load(const void* bytes) { return _mm_loadu_si128(static_cast<const __m128i*>(bytes)); }

ANYPOP_TARGET_AES inline __m128i encrypt(const FlowKeys& keys, __m128i state) {
  state = _mm_xor_si128(state, load(keys.cipher[0].data()));
  for (unsigned round = 1; round < FlowKeys::kRounds; ++round) {
    state = _mm_aesenc_si128(state, load(keys.cipher[round].data()));
  }
  return _mm_aesenclast_si128(state, load(keys.cipher[FlowKeys::kRounds].data()));
}

ANYPOP_TARGET_AES inline __m128i absorb(const std::array<AesBlock, FlowKeys::kAbsorbRounds>& keys, __m128i state) {
  for (const AesBlock& key : keys) state = _mm_aesenc_si128(state, load(key.data()));
  return state;
}

ANYPOP_TARGET_AES inline std::uint64_t low_half(__m128i state) {
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(state));
}

}  // namespace

bool supported() { return __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("sse4.1") != 0; }

ANYPOP_TARGET_AES void hash(const FlowKeys& keys, std::span<const Flow<V4>> flows, std::span<std::uint64_t> hashes) {
  for (std::size_t i = 0; i < flows.size(); ++i) hashes[i] = low_half(encrypt(keys, load(&flows[i])));
}

ANYPOP_TARGET_AES void hash(const FlowKeys& keys, std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes) {
  for (std::size_t i = 0; i < flows.size(); ++i) {
    __m128i state = _mm_xor_si128(load(&flows[i].source), load(keys.whitening.data()));
    state = _mm_xor_si128(absorb(keys.absorb[0], state), load(&flows[i].destination));
    state = _mm_xor_si128(absorb(keys.absorb[1], state), load(&flows[i].source_port));
    hashes[i] = low_half(encrypt(keys, state));
  }
}

}  // namespace anypop::l4lb::aesni

#else

namespace anypop::l4lb::aesni {

bool supported() { return false; }

// Not reached: FlowHash asks supported() first.
void hash(const FlowKeys& keys, std::span<const Flow<V4>> flows, std::span<std::uint64_t> hashes) {
  portable::hash(keys, flows, hashes);
}
void hash(const FlowKeys& keys, std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes) {
  portable::hash(keys, flows, hashes);
}

}  // namespace anypop::l4lb::aesni

#endif
