// SPDX-License-Identifier: Apache-2.0
// (VIP, protocol, port) → service, for one address family. What matches closest wins: the longest VIP prefix, and of
// its services the one with the port, or else the one with any port.
//
// Most packets find their service by its exact port at an exact VIP, in a hash table. Open addressing; the builder
// looks for a seed with which no entry lies more than kMaxProbes from its home, so a lookup is bounded and nearly
// always touches one cache line, with one service or thousands. What is in the table comes from the configuration only,
// so nobody outside can crowd it.
#pragma once

#include <array>
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

// The same as whole words, as they are hashed and compared. No key that a service can have packs to kUnusedKey.
template <class F>
struct PackedKey {
  static constexpr std::size_t kWords = F::kFamily == Family::kV4 ? 1 : 3;
  std::array<std::uint64_t, kWords> words;
  friend bool operator==(const PackedKey& a, const PackedKey& b) {
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < kWords; ++i) difference |= a.words[i] ^ b.words[i];
    return difference == 0;
  }
};

inline PackedKey<V4> pack(const ServiceKey<V4>& key) {
  return {{std::uint64_t{key.vip.value.raw()} | (static_cast<std::uint64_t>(key.protocol) << 32U) |
           (std::uint64_t{key.port.raw()} << 48U)}};
}
inline PackedKey<V6> pack(const ServiceKey<V6>& key) {
  const auto halves = std::bit_cast<std::array<std::uint64_t, 2>>(key.vip.bytes);
  return {{halves[0], halves[1], std::uint64_t{key.port.raw()} | (static_cast<std::uint64_t>(key.protocol) << 16U)}};
}

// Of the service that a flow is for.
template <class F>
PackedKey<F> pack(const Flow<F>& flow) {
  return pack(ServiceKey<F>{flow.destination, flow.destination_port, flow.protocol});
}

template <class F>
class ServiceTable {
 public:
  struct Item {
    ServiceKey<F> key;
    std::uint16_t service = 0;
    std::uint16_t last_port = 0;          // of a range that begins with the key's; 0: no range. 0 to 65535: any
    unsigned prefix_bits = kAddressBits;  // of the VIP; its other bits must be zero
  };
  static constexpr unsigned kAddressBits = sizeof(typename F::Address) * 8;
  static constexpr std::uint32_t kMaxProbes = 4;

  ServiceTable() : ServiceTable(std::span<const Item>{}) {}
  // Services of one VIP prefix and protocol must not share ports, but any port goes with others. Also enters each VIP
  // by itself, for has_vip().
  explicit ServiceTable(std::span<const Item> items);

  struct Entry;
  // The table without what only few packets need, small enough for a loop to keep in registers.
  struct Finder {
    const Entry* entries;
    std::uint64_t multiplier;
    unsigned shift;

    // Where a lookup of `key` starts. Kept apart from find() so that a burst can prefetch between the two.
    const Entry* home(const PackedKey<F>& key) const { return entries + (mix(key, multiplier) >> shift); }
  };
  Finder finder() const { return {entries_.data(), multiplier_, 64U - bits_}; }

  // The service, or kNoService. Precondition: home == finder().home(key).
  std::uint16_t find(const Entry* home, const PackedKey<F>& key) const {
    return home->key == key ? home->service : find_further(home, key);
  }
  // The same for keys that do not lie at their home.
  std::uint16_t find_further(const Entry* home, const PackedKey<F>& key) const;
  static constexpr std::uint16_t kNoService = 0xffff;

  // A VIP's number, below vips(). Precondition: has_vip(vip).
  std::uint16_t vip_index(const typename F::Address& vip) const { return find_vip(vip)->service; }
  // The same for a VIP prefix. Precondition: a service has it.
  std::uint16_t vip_index(const typename F::Address& vip, unsigned prefix_bits) const {
    return find_exactly(vip_key(vip, prefix_bits))->service;
  }
  std::size_t vips() const { return vips_; }

  // Does any service have this address?
  bool has_vip(const typename F::Address& vip) const { return find_vip(vip) != nullptr; }

  // A power of two bytes, so that no entry lies on two cache lines.
  struct alignas(F::kFamily == Family::kV4 ? 16 : 32) Entry {
    PackedKey<F> key = kUnusedKey;
    std::uint16_t service = kNoService;
    bool used() const { return key != kUnusedKey; }
  };

 private:
  static constexpr PackedKey<F> kUnusedKey = [] {
    PackedKey<F> key{};
    key.words.back() = ~std::uint64_t{0};
    return key;
  }();

  // A VIP by itself is entered under protocol 0, which no service has, with its number for a service.
  static ServiceKey<F> vip_key(const typename F::Address& vip, unsigned prefix_bits) {
    return {.vip = vip,
            .port = wire::be16(static_cast<std::uint16_t>(prefix_bits)),
            .protocol = wire::IpProtocol::kHopByHop};
  }
  // Services with ranges, with any port, or of longer prefixes are in groups by VIP prefix and protocol; the numbers
  // for experiments (RFC 3692) stand for the protocols here.
  static ServiceKey<F> group_key(const typename F::Address& vip, unsigned prefix_bits, wire::IpProtocol protocol) {
    return {.vip = vip,
            .port = wire::be16(static_cast<std::uint16_t>(prefix_bits)),
            .protocol = static_cast<wire::IpProtocol>(protocol == wire::IpProtocol::kTcp ? 253 : 254)};
  }
  struct Range {
    std::uint16_t first = 0;
    std::uint16_t last = 0;
    std::uint16_t service = 0;
  };
  struct Group {
    std::vector<Range> ranges;  // in order
    std::uint16_t any = kNoService;
  };
  const Entry* find_exactly(const ServiceKey<F>& key) const {
    const PackedKey<F> packed = pack(key);
    return find_entry(finder().home(packed), packed);
  }
  const Entry* find_vip(const typename F::Address& vip) const;
  std::uint16_t find_in_groups(const ServiceKey<F>& key) const;
  bool insert_in_group(const Item& item);
  static std::uint64_t mix(const PackedKey<F>& key, std::uint64_t multiplier);
  static const Entry* find_entry(const Entry* home, const PackedKey<F>& key) {
    for (const Entry *entry = home, *end = entry + kMaxProbes; entry != end; ++entry) {
      if (entry->key == key) return entry;
      if (!entry->used()) return nullptr;
    }
    return nullptr;
  }
  bool insert(const ServiceKey<F>& key, std::uint16_t service);
  bool fill(std::span<const Item> items, unsigned bits, std::uint64_t multiplier);

  std::vector<unsigned> vip_lengths_;    // that prefixes have, the longest first
  std::vector<unsigned> group_lengths_;  // the same of those that have groups
  std::vector<Group> groups_;
  std::size_t vips_ = 0;
  unsigned bits_ = 0;
  std::uint64_t multiplier_ = 1;  // odd
  std::vector<Entry> entries_;    // 2^bits homes and kMaxProbes - 1 more, so that probing needs no wrapping
};

// Multiplicative hashing: the upper bits of the product are used.
template <>
inline std::uint64_t ServiceTable<V4>::mix(const PackedKey<V4>& key, std::uint64_t multiplier) {
  return key.words[0] * multiplier;
}

template <>
inline std::uint64_t ServiceTable<V6>::mix(const PackedKey<V6>& key, std::uint64_t multiplier) {
  const std::uint64_t first = key.words[0] * 0x9e3779b97f4a7c15ULL;
  return (first ^ (first >> 32U) ^ key.words[1] ^ std::rotl(key.words[2], 40)) * multiplier;
}

}  // namespace anypop::l4lb
