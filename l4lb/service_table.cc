// SPDX-License-Identifier: Apache-2.0
#include "service_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

namespace anypop::l4lb {

namespace {

void note_length(unsigned bits, std::vector<unsigned>& lengths) {
  const auto at = std::ranges::lower_bound(lengths, bits, std::greater<>());
  if (at == lengths.end() || *at != bits) lengths.insert(at, bits);
}

template <class F>
ServiceKey<F> unpack(const PackedKey<F>& key) {
  constexpr bool kV4 = F::kFamily == Family::kV4;
  constexpr unsigned kPortAt = kV4 ? 48 : 0;
  constexpr unsigned kProtocolAt = kV4 ? 32 : 16;
  ServiceKey<F> out;
  std::memcpy(&out.vip, key.words.data(), sizeof(out.vip));
  out.port = std::bit_cast<wire::be16>(static_cast<std::uint16_t>(key.words.back() >> kPortAt));
  out.protocol = static_cast<wire::IpProtocol>(static_cast<std::uint8_t>(key.words.back() >> kProtocolAt));
  return out;
}

}  // namespace

template <class F>
ServiceTable<F>::ServiceTable(std::span<const Item> items) {
  // At most a quarter full with the VIPs entered too; a few seeds are then enough, and if not, a larger table is.
  constexpr std::uint64_t kSeeds = 64;
  constexpr unsigned kLeastBits = 4;
  for (unsigned bits = kLeastBits + static_cast<unsigned>(std::bit_width(items.size()));; ++bits) {
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      if (fill(items, bits, 0x9e3779b97f4a7c15ULL + seed * 0xbf58476d1ce4e5b8ULL)) return;
    }
  }
}

template <class F>
bool ServiceTable<F>::fill(std::span<const Item> items, unsigned bits, std::uint64_t multiplier) {
  vips_ = 0;
  vip_lengths_.clear();
  group_lengths_.clear();
  groups_.clear();
  bits_ = bits;
  multiplier_ = multiplier;
  entries_.assign((std::size_t{1} << bits) + kMaxProbes - 1, Entry{});
  for (const Item& item : items) {
    const bool simple = item.last_port == 0 && item.prefix_bits == kAddressBits;
    if (!(simple ? insert(item.key, item.service) : insert_in_group(item))) return false;
    const ServiceKey<F> vip = vip_key(item.key.vip, item.prefix_bits);
    if (find_exactly(vip) != nullptr) continue;
    if (!insert(vip, static_cast<std::uint16_t>(vips_++))) return false;
    note_length(item.prefix_bits, vip_lengths_);
  }
  return true;
}

template <class F>
bool ServiceTable<F>::insert(const ServiceKey<F>& key, std::uint16_t service) {
  const PackedKey<F> packed = pack(key);
  const auto first = static_cast<std::size_t>(finder().home(packed) - entries_.data());
  for (std::size_t at = first; at < first + kMaxProbes; ++at) {
    if (entries_[at].key == packed) return true;
    if (entries_[at].used()) continue;
    entries_[at] = {.key = packed, .service = service};
    return true;
  }
  return false;
}

template <class F>
bool ServiceTable<F>::insert_in_group(const Item& item) {
  const ServiceKey<F> key = group_key(item.key.vip, item.prefix_bits, item.key.protocol);
  if (find_exactly(key) == nullptr) {
    groups_.emplace_back();
    if (!insert(key, static_cast<std::uint16_t>(groups_.size() - 1))) return false;
    note_length(item.prefix_bits, group_lengths_);
  }
  Group& group = groups_[find_exactly(key)->service];
  const std::uint16_t first = item.key.port.host();
  const std::uint16_t last = item.last_port == 0 ? first : item.last_port;
  if (first == 0 && last == 65535) {
    group.any = item.service;
  } else {
    group.ranges.insert(std::ranges::upper_bound(group.ranges, first, {}, &Range::first), {first, last, item.service});
  }
  return true;
}

template <class F>
auto ServiceTable<F>::find_vip(const typename F::Address& vip) const -> const Entry* {
  for (const unsigned bits : vip_lengths_) {
    if (const Entry* entry = find_exactly(vip_key(first_bits(vip, bits), bits))) return entry;
  }
  return nullptr;
}

template <class F>
std::uint16_t ServiceTable<F>::find_further(const Entry* home, const PackedKey<F>& key) const {
  if (const Entry* entry = find_entry(home, key)) return entry->service;
  return group_lengths_.empty() ? kNoService : find_in_groups(unpack(key));
}

template <class F>
std::uint16_t ServiceTable<F>::find_in_groups(const ServiceKey<F>& key) const {
  const std::uint16_t port = key.port.host();
  for (const unsigned bits : group_lengths_) {
    const Entry* entry = find_exactly(group_key(first_bits(key.vip, bits), bits, key.protocol));
    if (entry == nullptr) continue;
    const Group& group = groups_[entry->service];
    const auto behind = std::ranges::upper_bound(group.ranges, port, {}, &Range::first);
    if (behind != group.ranges.begin() && std::prev(behind)->last >= port) return std::prev(behind)->service;
    if (group.any != kNoService) return group.any;
  }
  return kNoService;
}

template class ServiceTable<V4>;
template class ServiceTable<V6>;

}  // namespace anypop::l4lb
