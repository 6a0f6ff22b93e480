// SPDX-License-Identifier: Apache-2.0
// Consistent hashing of slots to backends: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
// Balancer", NSDI 2016, section 3.4, with proportional weights. The result depends on the names, the weights and the
// size only, not on the order of the members or the machine, so that servers agree without talking.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace anypop::l4lb {

struct MaglevMember {
  std::string name;
  unsigned weight = 1;
  std::uint16_t backend = 0;  // what the slots will say
  friend bool operator<(const MaglevMember& a, const MaglevMember& b) {
    return std::tie(a.name, a.weight, a.backend) < std::tie(b.name, b.weight, b.backend);
  }
};

// Slots that each member gets, in the order of `members`: in proportion to the weights, rounded to whole slots so that
// they add up to `size` (largest remainder; the alphabetically first name wins a tie).
std::vector<std::uint32_t> maglev_shares(std::span<const MaglevMember> members, std::uint32_t size);

// The backend of each slot. Preconditions: `size` is a prime below 2^31, there is at least one member, no more members
// than slots, names are unique, weights are positive. Cost: about size × ln(size) steps.
std::vector<std::uint16_t> build_maglev(std::span<const MaglevMember> members, std::uint32_t size);

// Where the permutation of a name starts and how far it steps. Part of the agreement between servers: never change it.
struct MaglevSequence {
  std::uint32_t offset = 0;  // below size
  std::uint32_t skip = 1;    // 1 to size - 1
};
MaglevSequence maglev_sequence(std::string_view name, std::uint32_t size);

}  // namespace anypop::l4lb
