// SPDX-License-Identifier: Apache-2.0
// AES-NI, and VAES for two flows at a time. The functions carry their own target attributes, so that the rest of the
// program runs on any x86-64.
#include <cassert>
#include <cstring>

#include "aes_engines.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

namespace anypop::l4lb::aesni {
namespace {

#define ANYPOP_TARGET_AES __attribute__((target("aes,sse4.1")))

ANYPOP_TARGET_AES inline __m128i load(const void* bytes) { return _mm_loadu_si128(static_cast<const __m128i*>(bytes)); }

// Round keys that a loop over flows keeps in registers: it stores hashes, and for all that the compiler knows those
// could be keys.
struct Cipher {
  __m128i round[FlowKeys::kRounds + 1];
};

ANYPOP_TARGET_AES inline Cipher load(const FlowKeys& keys) {
  Cipher cipher;
  for (unsigned i = 0; i <= FlowKeys::kRounds; ++i) cipher.round[i] = load(keys.cipher[i].data());
  return cipher;
}

ANYPOP_TARGET_AES inline __m128i encrypt(const Cipher& cipher, __m128i state) {
  state = _mm_xor_si128(state, cipher.round[0]);
  for (unsigned i = 1; i < FlowKeys::kRounds; ++i) state = _mm_aesenc_si128(state, cipher.round[i]);
  return _mm_aesenclast_si128(state, cipher.round[FlowKeys::kRounds]);
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
  const Cipher cipher = load(keys);
  for (std::size_t i = 0; i < flows.size(); ++i) hashes[i] = low_half(encrypt(cipher, load(&flows[i])));
}

ANYPOP_TARGET_AES void hash(const FlowKeys& keys, std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes) {
  const Cipher cipher = load(keys);
  for (std::size_t i = 0; i < flows.size(); ++i) {
    __m128i state = _mm_xor_si128(load(&flows[i].source), load(keys.whitening.data()));
    state = _mm_xor_si128(absorb(keys.absorb[0], state), load(&flows[i].destination));
    state = _mm_xor_si128(absorb(keys.absorb[1], state), load(&flows[i].source_port));
    hashes[i] = low_half(encrypt(cipher, state));
  }
}

}  // namespace anypop::l4lb::aesni

namespace anypop::l4lb::vaes {
namespace {

#define ANYPOP_TARGET_VAES __attribute__((target("aes,vaes,avx2")))

ANYPOP_TARGET_VAES inline __m256i both(const AesBlock& key) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(key.data())));
}

// The same 16 bytes of two flows.
ANYPOP_TARGET_VAES inline __m256i load(const void* first, const void* second) {
  const __m128i low = _mm_loadu_si128(static_cast<const __m128i*>(first));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), _mm_loadu_si128(static_cast<const __m128i*>(second)), 1);
}

struct Cipher {
  __m256i round[FlowKeys::kRounds + 1];
};

ANYPOP_TARGET_VAES inline Cipher load(const FlowKeys& keys) {
  Cipher cipher;
  for (unsigned i = 0; i <= FlowKeys::kRounds; ++i) cipher.round[i] = both(keys.cipher[i]);
  return cipher;
}

ANYPOP_TARGET_VAES inline void encrypt(const Cipher& cipher, __m256i state, std::uint64_t* hashes) {
  state = _mm256_xor_si256(state, cipher.round[0]);
  for (unsigned i = 1; i < FlowKeys::kRounds; ++i) state = _mm256_aesenc_epi128(state, cipher.round[i]);
  state = _mm256_aesenclast_epi128(state, cipher.round[FlowKeys::kRounds]);
  const __m128i halves = _mm_unpacklo_epi64(_mm256_castsi256_si128(state), _mm256_extracti128_si256(state, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(hashes), halves);
}

}  // namespace

// (Not every compiler's __builtin_cpu_supports() knows VAES.)
bool supported() {
  constexpr unsigned kVaes = 1U << 9U;  // of ECX, leaf 7
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  const bool vaes = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & kVaes) != 0;
  return vaes && aesni::supported() && __builtin_cpu_supports("avx2") != 0;
}

ANYPOP_TARGET_VAES void hash(const FlowKeys& keys, std::span<const Flow<V4>> flows, std::span<std::uint64_t> hashes) {
  const Cipher cipher = load(keys);
  std::size_t at = 0;
  for (; at + 2 <= flows.size(); at += 2) encrypt(cipher, load(&flows[at], &flows[at + 1]), &hashes[at]);
  aesni::hash(keys, flows.subspan(at), hashes.subspan(at));
}

// Four flows at a time, so that each round key is loaded once for all of them.
ANYPOP_TARGET_VAES void hash(const FlowKeys& keys, std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes) {
  const Cipher cipher = load(keys);
  std::size_t at = 0;
  for (; at + 4 <= flows.size(); at += 4) {
    const Flow<V6>* const of = &flows[at];
    const __m256i whitening = both(keys.whitening);
    __m256i first = _mm256_xor_si256(load(&of[0].source, &of[1].source), whitening);
    __m256i second = _mm256_xor_si256(load(&of[2].source, &of[3].source), whitening);
    const auto absorb = [&](const auto& round_keys) ANYPOP_TARGET_VAES {
      for (const AesBlock& bytes : round_keys) {
        const __m256i key = both(bytes);
        first = _mm256_aesenc_epi128(first, key);
        second = _mm256_aesenc_epi128(second, key);
      }
    };
    absorb(keys.absorb[0]);
    first = _mm256_xor_si256(first, load(&of[0].destination, &of[1].destination));
    second = _mm256_xor_si256(second, load(&of[2].destination, &of[3].destination));
    absorb(keys.absorb[1]);
    first = _mm256_xor_si256(first, load(&of[0].source_port, &of[1].source_port));
    second = _mm256_xor_si256(second, load(&of[2].source_port, &of[3].source_port));
    encrypt(cipher, first, &hashes[at]);
    encrypt(cipher, second, &hashes[at + 2]);
  }
  aesni::hash(keys, flows.subspan(at), hashes.subspan(at));
}

}  // namespace anypop::l4lb::vaes

#else

namespace anypop::l4lb::vaes {

bool supported() { return false; }
void hash(const FlowKeys& keys, std::span<const Flow<V4>> flows, std::span<std::uint64_t> hashes) {
  portable::hash(keys, flows, hashes);
}
void hash(const FlowKeys& keys, std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes) {
  portable::hash(keys, flows, hashes);
}

}  // namespace anypop::l4lb::vaes

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
