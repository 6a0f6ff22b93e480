// SPDX-License-Identifier: Apache-2.0
#include "base/probe_source.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <numeric>
#include <set>

namespace anypop {
namespace {

// More than any service has backends, and still a number.
constexpr unsigned kHostBitsMax = 32;

unsigned host_bits(const IpPrefix& prefix) {
  const unsigned all = prefix.family() == Family::kV4 ? 32 : 128;
  return std::min(all - prefix.length_bits(), kHostBitsMax);
}

// FNV-1a.
std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

IpAddress host_of(const IpPrefix& prefix, std::uint64_t number) {
  const auto base = prefix.address().bytes();
  std::array<std::uint8_t, 16> bytes{};
  std::copy(base.begin(), base.end(), bytes.begin());
  for (std::size_t i = base.size(); number != 0; number >>= 8U) {
    --i;
    bytes[i] = static_cast<std::uint8_t>(bytes[i] | (number & 0xffU));
  }
  return IpAddress::from_bytes({bytes.data(), base.size()});
}

}  // namespace

std::uint64_t probe_source_count(const IpPrefix& prefix) {
  const std::uint64_t addresses = std::uint64_t{1} << host_bits(prefix);
  const std::uint64_t nobodys = prefix.family() == Family::kV4 ? 2 : 1;
  return addresses - std::min(addresses, nobodys);
}

std::vector<IpAddress> probe_sources(const IpPrefix& prefix, const std::vector<BackendConfig>& backends) {
  const std::uint64_t count = probe_source_count(prefix);
  assert(backends.size() <= count);
  // In the order of the names, so that the order in the file does not decide who gives way.
  std::vector<std::size_t> order(backends.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return backends[a].name < backends[b].name; });
  std::set<std::uint64_t> taken;
  std::vector<IpAddress> sources(backends.size());
  for (const std::size_t backend : order) {
    std::uint64_t place = hash_name(backends[backend].name) % count;
    while (!taken.insert(place).second) place = (place + 1) % count;
    sources[backend] = host_of(prefix, place + 1);
  }
  return sources;
}

const IpPrefix* find_probe_prefix(const std::vector<IpPrefix>& prefixes, Family family) {
  const auto at = std::ranges::find(prefixes, family, &IpPrefix::family);
  return at == prefixes.end() ? nullptr : &*at;
}

}  // namespace anypop
