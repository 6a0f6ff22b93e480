// SPDX-License-Identifier: Apache-2.0
#include "service_table.h"

#include <bit>

namespace anypop::l4lb {

template <class F>
ServiceTable<F>::ServiceTable(std::span<const Item> items) {
  // At most a quarter full with the VIPs entered too; a few seeds are then enough, and if not, a larger table is.
  constexpr std::uint64_t kSeeds = 64;
  constexpr unsigned kLeastBits = 4;
  for (unsigned bits = kLeastBits + static_cast<unsigned>(std::bit_width(items.size()));; ++bits) {
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      if (fill(items, bits, seed * 0xbf58476d1ce4e5b9ULL)) return;
    }
  }
}

template <class F>
bool ServiceTable<F>::fill(std::span<const Item> items, unsigned bits, std::uint64_t seed) {
  vips_ = 0;
  bits_ = bits;
  seed_ = seed;
  entries_.assign((std::size_t{1} << bits) + kMaxProbes - 1, Entry{});
  for (const Item& item : items) {
    if (!insert(item.key, item.service)) return false;
    if (has_vip(item.key.vip)) continue;
    if (!insert(vip_key(item.key.vip), static_cast<std::uint16_t>(vips_++))) return false;
  }
  return true;
}

template <class F>
bool ServiceTable<F>::insert(const ServiceKey<F>& key, std::uint16_t service) {
  const std::uint32_t first = home(key);
  for (std::uint32_t at = first; at < first + kMaxProbes; ++at) {
    if (entries_[at].used && entries_[at].key == key) return true;
    if (entries_[at].used) continue;
    entries_[at] = {.key = key, .service = service, .used = true};
    return true;
  }
  return false;
}

template class ServiceTable<V4>;
template class ServiceTable<V6>;

}  // namespace anypop::l4lb
