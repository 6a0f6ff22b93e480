// SPDX-License-Identifier: Apache-2.0
#include "flow_hash.h"

#include <cassert>

#include "aes_engines.h"

namespace anypop::l4lb {

FlowKeys expand_flow_keys(const AesBlock& key) {
  FlowKeys keys;
  keys.cipher = portable::expand_cipher_key(key);
  // The absorbing rounds need keys that look independent: the encryption of 0xff..ff00, 0xff..ff01, …, inputs that no
  // flow can have (its padding is zero).
  AesBlock counter;
  counter.fill(0xff);
  counter.back() = 0;
  const auto next = [&] {
    const AesBlock derived = portable::encrypt(keys, counter);
    ++counter.back();
    return derived;
  };
  keys.whitening = next();
  for (auto& step : keys.absorb) {
    for (AesBlock& round : step) round = next();
  }
  return keys;
}

std::string_view aes_engine_name(AesEngine engine) { return engine == AesEngine::kAesNi ? "aes-ni" : "portable"; }

bool supported(AesEngine engine) { return engine == AesEngine::kPortable || aesni::supported(); }

AesEngine best_aes_engine() {
  static const AesEngine best = aesni::supported() ? AesEngine::kAesNi : AesEngine::kPortable;
  return best;
}

FlowHash::FlowHash(const AesBlock& key, AesEngine engine) : keys_(expand_flow_keys(key)), engine_(engine) {
  assert(supported(engine));
}

void FlowHash::hash(std::span<const Flow<V4>> flows, std::span<std::uint64_t> hashes) const {
  engine_ == AesEngine::kAesNi ? aesni::hash(keys_, flows, hashes) : portable::hash(keys_, flows, hashes);
}

void FlowHash::hash(std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes) const {
  engine_ == AesEngine::kAesNi ? aesni::hash(keys_, flows, hashes) : portable::hash(keys_, flows, hashes);
}

}  // namespace anypop::l4lb
