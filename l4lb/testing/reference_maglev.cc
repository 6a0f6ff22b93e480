// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "l4lb_testing/reference_engine.h"

namespace anypop::l4lb_testing {
namespace {

std::uint64_t name_hash(const std::string& name, std::uint64_t seed) {
  std::uint64_t h = 14695981039346656037ULL ^ seed;
  for (const char c : name) {
    h ^= static_cast<unsigned char>(c);
    h *= 1099511628211ULL;
  }
  h ^= h >> 30U;
  h *= 0xbf58476d1ce4e5b9ULL;
  h ^= h >> 27U;
  h *= 0x94d049bb133111ebULL;
  h ^= h >> 31U;
  return h;
}

// Exact shares: the whole part for everybody, then one more for the largest remainders.
std::vector<std::uint64_t> shares_of(const std::vector<ReferenceMember>& members, std::uint64_t size,
                                     std::uint64_t total) {
  std::vector<std::uint64_t> shares;
  for (const auto& member : members) shares.push_back(size * member.weight / total);
  std::vector<bool> given(members.size());
  while (std::accumulate(shares.begin(), shares.end(), std::uint64_t{0}) < size) {
    std::size_t best = members.size();
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (given[i]) continue;
      if (best == members.size() || size * members[i].weight % total > size * members[best].weight % total) best = i;
    }
    given[best] = true;
    ++shares[best];
  }
  return shares;
}

}  // namespace

std::vector<std::uint16_t> reference_maglev(std::vector<ReferenceMember> members, std::uint32_t size) {
  std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  std::uint64_t total = 0;
  for (const auto& member : members) total += member.weight;
  const std::vector<std::uint64_t> shares = shares_of(members, size, total);

  std::vector<std::vector<std::uint64_t>> permutations;
  for (const auto& member : members) {
    const std::uint64_t offset = name_hash(member.name, 0) % size;
    const std::uint64_t skip = name_hash(member.name, 0x9e3779b97f4a7c15ULL) % (size - 1) + 1;
    permutations.emplace_back();
    for (std::uint64_t j = 0; j < size; ++j) permutations.back().push_back((offset + j * skip) % size);
  }

  std::vector<int> entry(size, -1);
  std::vector<std::uint64_t> owned(members.size());
  std::vector<std::size_t> next(members.size());
  for (std::uint64_t round = 1, filled = 0; filled < size; ++round) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      const std::uint64_t per_round = std::uint64_t{members[i].weight} * members.size();
      const std::uint64_t turns = round * per_round / total - (round - 1) * per_round / total;
      for (std::uint64_t turn = 0; turn < turns && owned[i] < shares[i]; ++turn) {
        while (entry[permutations[i][next[i]]] >= 0) ++next[i];
        entry[permutations[i][next[i]]] = members[i].backend;
        ++owned[i];
        ++filled;
      }
    }
  }
  return {entry.begin(), entry.end()};
}

}  // namespace anypop::l4lb_testing
