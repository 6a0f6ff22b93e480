// SPDX-License-Identifier: Apache-2.0
// (VIP, protocol, port) → service, for one address family. Open addressing; the builder looks for a seed with which no
// entry lies more than kMaxProbes from its home, so a lookup is bounded and nearly always touches one cache line, with
// one service or thousands. What is in the table comes from the configuration only, so nobody outside can crowd it.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "flow.h"

namespace anypop::l4lb {

template <class F>
struct ServiceKey {
  typename F::Address vip;
  wire::be16 port;
  wire::IpProtocol protocol;
  friend bool operator==(const ServiceKey&, const ServiceKey&) = default;
};

template <class F>
class ServiceTable {
 public:
  struct Item {
    ServiceKey<F> key;
    std::uint16_t service = 0;
  };
  static constexpr std::uint32_t kMaxProbes = 4;

  ServiceTable() : ServiceTable(std::span<const Item>{}) {}
  // Keys must be unique. Also enters each VIP by itself, for has_vip().
  explicit ServiceTable(std::span<const Item> items);

  // Where a lookup of `key` starts. Kept apart from find() so that a burst can prefetch between the two.
  std::uint32_t home(const ServiceKey<F>& key) const {
    return static_cast<std::uint32_t>(mix(key, seed_) >> (64U - bits_));
  }
  void prefetch(std::uint32_t home) const { __builtin_prefetch(&entries_[home]); }

  // The service, or kNone. Precondition: home == home(key).
  std::uint16_t find(std::uint32_t home, const ServiceKey<F>& key) const {
    const Entry* entry = find_entry(home, key);
    return entry == nullptr ? kNoService : entry->service;
  }
  static constexpr std::uint16_t kNoService = 0xffff;

  // A VIP's number, below vips(). Precondition: has_vip(vip).
  std::uint16_t vip_index(const typename F::Address& vip) const {
    const ServiceKey<F> key = vip_key(vip);
    return find_entry(home(key), key)->service;
  }
  std::size_t vips() const { return vips_; }

  // Does any service have this address?
  bool has_vip(const typename F::Address& vip) const {
    const ServiceKey<F> key = vip_key(vip);
    return find_entry(home(key), key) != nullptr;
  }

 private:
  // A power of two bytes, so that no entry lies on two cache lines.
  struct alignas(F::kFamily == Family::kV4 ? 16 : 32) Entry {
    ServiceKey<F> key;
    std::uint16_t service;
    bool used;
  };

  // A VIP by itself is entered under protocol 0, which no service has, with its number for a service.
  static ServiceKey<F> vip_key(const typename F::Address& vip) {
    return {.vip = vip, .port = wire::be16(0), .protocol = wire::IpProtocol::kHopByHop};
  }
  static std::uint64_t mix(const ServiceKey<F>& key, std::uint64_t seed);
  const Entry* find_entry(std::uint32_t home, const ServiceKey<F>& key) const {
    for (const Entry *entry = &entries_[home], *end = entry + kMaxProbes; entry != end; ++entry) {
      if (!entry->used) return nullptr;
      if (entry->key == key) return entry;
    }
    return nullptr;
  }
  bool insert(const ServiceKey<F>& key, std::uint16_t service);
  bool fill(std::span<const Item> items, unsigned bits, std::uint64_t seed);

  std::size_t vips_ = 0;
  unsigned bits_ = 0;
  std::uint64_t seed_ = 0;
  std::vector<Entry> entries_;  // 2^bits homes and kMaxProbes - 1 more, so that probing needs no wrapping
};

template <>
inline std::uint64_t ServiceTable<V4>::mix(const ServiceKey<V4>& key, std::uint64_t seed) {
  const std::uint64_t packed = (std::uint64_t{key.vip.value.raw()} << 32U) | (std::uint64_t{key.port.raw()} << 8U) |
                               static_cast<std::uint64_t>(key.protocol);
  const std::uint64_t mixed = (packed ^ seed) * 0x9e3779b97f4a7c15ULL;
  return (mixed ^ (mixed >> 32U)) * 0xd6e8feb86659fd93ULL;
}

template <>
inline std::uint64_t ServiceTable<V6>::mix(const ServiceKey<V6>& key, std::uint64_t seed) {
  const auto halves = std::bit_cast<std::array<std::uint64_t, 2>>(key.vip.bytes);
  const std::uint64_t end = (std::uint64_t{key.port.raw()} << 8U) | static_cast<std::uint64_t>(key.protocol);
  const std::uint64_t high = (halves[0] ^ seed) * 0x9e3779b97f4a7c15ULL;
  const std::uint64_t low = (halves[1] ^ (end << 20U) ^ seed) * 0xd6e8feb86659fd93ULL;
  const std::uint64_t mixed = std::rotl(high ^ (high >> 32U), 31) + (low ^ (low >> 32U)) + end;
  return mixed * 0xff51afd7ed558ccdULL;
}

}  // namespace anypop::l4lb
