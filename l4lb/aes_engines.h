// SPDX-License-Identifier: Apache-2.0
// The implementations of FlowHash, and single blocks of the portable one for key expansion and tests.
#pragma once

#include <cstdint>
#include <span>

#include "flow_hash.h"

namespace anypop::l4lb::portable {

AesBlock encrypt(const FlowKeys& keys, const AesBlock& plain);
// The ten round keys behind `key` (FIPS 197 section 5.2).
std::array<AesBlock, FlowKeys::kRounds + 1> expand_cipher_key(const AesBlock& key);
void hash(const FlowKeys& keys, std::span<const Flow<V4>> flows, std::span<std::uint64_t> hashes);
void hash(const FlowKeys& keys, std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes);

}  // namespace anypop::l4lb::portable

namespace anypop::l4lb::aesni {

bool supported();
// Precondition: supported().
void hash(const FlowKeys& keys, std::span<const Flow<V4>> flows, std::span<std::uint64_t> hashes);
void hash(const FlowKeys& keys, std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes);

}  // namespace anypop::l4lb::aesni

namespace anypop::l4lb::vaes {

bool supported();
// Precondition: supported().
void hash(const FlowKeys& keys, std::span<const Flow<V4>> flows, std::span<std::uint64_t> hashes);
void hash(const FlowKeys& keys, std::span<const Flow<V6>> flows, std::span<std::uint64_t> hashes);

}  // namespace anypop::l4lb::vaes
