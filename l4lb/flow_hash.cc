// SPDX-License-Identifier: Apache-2.0
#include "flow_hash.h"

#include <algorithm>
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

std::string_view aes_engine_name(AesEngine engine) {
  switch (engine) {
    case AesEngine::kPortable: return "portable";
    case AesEngine::kAesNi: return "aes-ni";
    case AesEngine::kVaes: return "vaes";
  }
  return "";
}

bool supported(AesEngine engine) {
  switch (engine) {
    case AesEngine::kPortable: return true;
    case AesEngine::kAesNi: return aesni::supported();
    case AesEngine::kVaes: return vaes::supported();
  }
  return false;
}

AesEngine best_aes_engine() {
  static const AesEngine best = *std::ranges::find_if(kAesEngines.rbegin(), kAesEngines.rend(), supported);
  return best;
}

FlowHash::FlowHash(const AesBlock& key, AesEngine engine) : keys_(expand_flow_keys(key)), engine_(engine) {
  assert(supported(engine));
}

namespace {

template <class F>
void hash_by(AesEngine engine, const FlowKeys& keys, std::span<const Flow<F>> flows, std::span<std::uint64_t> hashes) {
  switch (engine) {
    case AesEngine::kPortable: return portable::hash(keys, flows, hashes);
    case AesEngine::kAesNi: return aesni::hash(keys, flows, hashes);
    case AesEngine::kVaes: return vaes::hash(keys, flows, hashes);
  }
}

}  // namespace

void FlowHash::hash(std::span<const Flow<V4>> flows, std::span<std::uint64_t> hashes) const {
  hash_by(engine_, keys_, flows, hashes);
}

void FlowHash::hash(std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes) const {
  hash_by(engine_, keys_, flows, hashes);
}

}  // namespace anypop::l4lb
