// SPDX-License-Identifier: Apache-2.0
// The keyed hash of a flow. Whoever does not know the key cannot predict which slot a flow falls into, so he cannot aim
// at one backend; all servers with the same key agree.
//
// IPv4: the 5-tuple is one block, and the hash is half of its AES-128 encryption (FIPS 197): a pseudorandom function.
// IPv6: the two addresses are first absorbed with four AES rounds each under round keys of their own (over four rounds
// no difference goes through with probability above 2^-113: Keliher and Sui, 2007), the rest is added, and the sum is
// encrypted. All implementations (VAES: two flows at a time; AES-NI; tables) give the same values; which one runs is
// chosen when the program starts.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "flow.h"

namespace anypop::l4lb {

using AesBlock = std::array<std::uint8_t, 16>;

// Round keys, expanded once per key.
struct FlowKeys {
  static constexpr unsigned kRounds = 10;
  static constexpr unsigned kAbsorbRounds = 4;

  std::array<AesBlock, kRounds + 1> cipher{};
  AesBlock whitening{};
  std::array<std::array<AesBlock, kAbsorbRounds>, 2> absorb{};
};
FlowKeys expand_flow_keys(const AesBlock& key);

enum class AesEngine : std::uint8_t { kPortable, kAesNi, kVaes };
inline constexpr std::array kAesEngines = {AesEngine::kPortable, AesEngine::kAesNi, AesEngine::kVaes};
std::string_view aes_engine_name(AesEngine engine);
bool supported(AesEngine engine);
AesEngine best_aes_engine();

class FlowHash {
 public:
  // Precondition: supported(engine).
  explicit FlowHash(const AesBlock& key, AesEngine engine = best_aes_engine());

  // hashes[i] := hash of flows[i]. Precondition: as many hashes as flows. Constant time per flow, except for the cache
  // accesses of the portable engine.
  void hash(std::span<const Flow<V4>> flows, std::span<std::uint64_t> hashes) const;
  void hash(std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes) const;

  AesEngine engine() const { return engine_; }

 private:
  FlowKeys keys_;
  AesEngine engine_;
};

// The slot of a table with `slots` slots: the upper half of the hash, scaled. The lower half stays free for tags.
inline std::uint32_t slot_of(std::uint64_t hash, std::uint32_t slots) {
  return static_cast<std::uint32_t>(((hash >> 32U) * slots) >> 32U);
}

}  // namespace anypop::l4lb
