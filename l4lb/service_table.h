// SPDX-License-Identifier: Apache-2.0
// (VIP, protocol, port) → service, for one address family. What matches closest wins: the longest VIP prefix, and of
// its services the one with the port, or else the one with any port.
//
// Most packets find their service by its exact port at an exact VIP, in a hash table. Open addressing; the builder
// looks for a seed with which no entry lies more than kMaxProbes from its home, so a lookup is bounded and nearly
// always touches one cache line, with one service or thousands. What is in the table comes from the configuration only,
// so nobody outside can crowd it.
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
    std::uint16_t last_port = 0;          // of a range that begins with the key's; 0: no range. 0 to 65535: any
    unsigned prefix_bits = kAddressBits;  // of the VIP; its other bits must be zero
  };
  static constexpr unsigned kAddressBits = sizeof(typename F::Address) * 8;
  static constexpr std::uint32_t kMaxProbes = 4;

  ServiceTable() : ServiceTable(std::span<const Item>{}) {}
  // Services of one VIP prefix and protocol must not share ports, but any port goes with others. Also enters each VIP
  // by itself, for has_vip().
  explicit ServiceTable(std::span<const Item> items);

  // Where a lookup of `key` starts. Kept apart from find() so that a burst can prefetch between the two.
  std::uint32_t home(const ServiceKey<F>& key) const {
    return static_cast<std::uint32_t>(mix(key, seed_) >> (64U - bits_));
  }
  void prefetch(std::uint32_t home) const { __builtin_prefetch(&entries_[home]); }

  // The service, or kNone. Precondition: home == home(key).
  std::uint16_t find(std::uint32_t home, const ServiceKey<F>& key) const {
    const Entry* entry = find_entry(home, key);
    if (entry != nullptr) return entry->service;
    return group_lengths_.empty() ? kNoService : find_in_groups(key);
  }
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

 private:
  // A power of two bytes, so that no entry lies on two cache lines.
  struct alignas(F::kFamily == Family::kV4 ? 16 : 32) Entry {
    ServiceKey<F> key;
    std::uint16_t service;
    bool used;
  };

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
  const Entry* find_exactly(const ServiceKey<F>& key) const { return find_entry(home(key), key); }
  const Entry* find_vip(const typename F::Address& vip) const;
  std::uint16_t find_in_groups(const ServiceKey<F>& key) const;
  bool insert_in_group(const Item& item);
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

  std::vector<unsigned> vip_lengths_;    // that prefixes have, the longest first
  std::vector<unsigned> group_lengths_;  // the same of those that have groups
  std::vector<Group> groups_;
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
