// SPDX-License-Identifier: Apache-2.0
#include "maglev.h"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace anypop::l4lb {
namespace {

// FNV-1a, then the finalizer of splitmix64, because FNV's upper bits depend little on the last characters. No key:
// names are the operator's.
std::uint64_t hash_name(std::string_view name, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  hash = (hash ^ (hash >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27U)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31U);
}

// One bit per slot: for 65537 slots 8 KiB, which stay in the first-level cache while the table itself would not.
class Bitmap {
 public:
  explicit Bitmap(std::uint32_t bits) : words_(bits / 64 + 1) {}
  bool test(std::uint32_t bit) const { return ((words_[bit / 64] >> (bit % 64)) & 1U) != 0; }
  void set(std::uint32_t bit) { words_[bit / 64] |= std::uint64_t{1} << (bit % 64); }

 private:
  std::vector<std::uint64_t> words_;
};

struct Walker {
  std::uint32_t position = 0;
  std::uint32_t skip = 0;
  std::uint32_t two_skips = 0;
  std::uint32_t steps_per_slot = 0;  // the inverse of skip modulo size; 0: not computed yet
  std::uint32_t left = 0;            // slots still to take
  std::uint64_t credit = 0;          // towards its next turn
  std::uint64_t credit_step = 0;     // earned in each round
  std::uint16_t backend = 0;
};

// (a + b) modulo size, for both below size. Without a branch: it could not be predicted, and there are about
// size × ln(size) of these.
std::uint32_t sum_modulo(std::uint32_t a, std::uint32_t b, std::uint32_t size) { return std::min(a + b, a + b - size); }

// Two tries at a time, because one position after the other is a chain of dependent steps.
std::uint32_t next_free(const Bitmap& taken, Walker& walker, std::uint32_t size) {
  std::uint32_t position = walker.position;
  for (;;) {
    if (!taken.test(position)) break;
    const std::uint32_t second = sum_modulo(position, walker.skip, size);
    position = sum_modulo(position, walker.two_skips, size);
    if (!taken.test(second)) {
      position = second;
      break;
    }
  }
  walker.position = position;
  return position;
}

// Whose turn it is. The paper lets every backend take one slot a round. Here a backend earns credit in proportion to
// its weight and takes as many slots a round as it has whole credits, so a round costs one step per backend however
// uneven the weights are, and it stops at its exact share.
class Rounds {
 public:
  Rounds(std::vector<Walker>& walkers, std::uint64_t credit_per_turn)
      : walkers_(walkers), credit_per_turn_(credit_per_turn) {
    walkers_.front().credit = walkers_.front().credit_step;
  }

  // Precondition: somebody has a slot left to take.
  Walker& next() {
    for (;;) {
      Walker& walker = walkers_[at_];
      if (walker.credit >= credit_per_turn_ && walker.left > 0) {
        walker.credit -= credit_per_turn_;
        --walker.left;
        return walker;
      }
      if (++at_ == walkers_.size()) at_ = 0;
      walkers_[at_].credit += walkers_[at_].credit_step;
    }
  }

 private:
  std::vector<Walker>& walkers_;
  std::uint64_t credit_per_turn_;
  std::size_t at_ = 0;
};

// The last free slots are searched from the other side. Trying positions costs size / free of them a slot, half of all
// the work for the last 256 slots; instead the step at which the walker would reach each free slot is computed.
class LastSlots {
 public:
  static constexpr std::uint32_t kCount = 128;

  LastSlots(const Bitmap& taken, std::uint32_t size) : size_(size) {
    for (std::uint32_t slot = 0; slot < size; ++slot) {
      if (!taken.test(slot)) free_.push_back(slot);
    }
  }

  std::uint32_t take_next(Walker& walker) {
    if (walker.steps_per_slot == 0) walker.steps_per_slot = inverse(walker.skip);
    std::size_t nearest = 0;
    std::uint64_t fewest = size_;
    for (std::size_t i = 0; i < free_.size(); ++i) {
      const std::uint64_t distance = sum_modulo(free_[i], size_ - walker.position, size_);
      const std::uint64_t steps = distance * walker.steps_per_slot % size_;
      if (steps < fewest) {
        fewest = steps;
        nearest = i;
      }
    }
    walker.position = free_[nearest];
    free_[nearest] = free_.back();
    free_.pop_back();
    return walker.position;
  }

 private:
  // Modulo a prime: a^(size - 2), by Fermat.
  std::uint32_t inverse(std::uint32_t a) const {
    std::uint64_t result = 1;
    std::uint64_t square = a;
    for (std::uint32_t exponent = size_ - 2; exponent > 0; exponent >>= 1U, square = square * square % size_) {
      if ((exponent & 1U) != 0) result = result * square % size_;
    }
    return static_cast<std::uint32_t>(result);
  }

  std::uint32_t size_;
  std::vector<std::uint32_t> free_;
};

std::vector<std::size_t> by_name(std::span<const MaglevMember> members) {
  std::vector<std::size_t> order(members.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return members[a].name < members[b].name; });
  return order;
}

std::uint64_t total_weight(std::span<const MaglevMember> members) {
  return std::accumulate(members.begin(), members.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const MaglevMember& member) { return sum + member.weight; });
}

}  // namespace

MaglevSequence maglev_sequence(std::string_view name, std::uint32_t size) {
  return {.offset = static_cast<std::uint32_t>(hash_name(name, 0) % size),
          .skip = static_cast<std::uint32_t>(hash_name(name, 0x9e3779b97f4a7c15ULL) % (size - 1) + 1)};
}

std::vector<std::uint32_t> maglev_shares(std::span<const MaglevMember> members, std::uint32_t size) {
  const std::uint64_t total = total_weight(members);
  std::vector<std::uint32_t> shares;
  std::uint32_t given = 0;
  for (const MaglevMember& member : members) {
    shares.push_back(static_cast<std::uint32_t>(std::uint64_t{size} * member.weight / total));
    given += shares.back();
  }
  std::vector<std::size_t> order = by_name(members);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::uint64_t{size} * members[a].weight % total > std::uint64_t{size} * members[b].weight % total;
  });
  for (std::size_t i = 0; given < size; ++i, ++given) ++shares[order[i]];
  return shares;
}

std::vector<std::uint16_t> build_maglev(std::span<const MaglevMember> members, std::uint32_t size) {
  assert(!members.empty() && members.size() <= size);
  const std::vector<std::uint32_t> shares = maglev_shares(members, size);
  std::vector<Walker> walkers;
  for (const std::size_t i : by_name(members)) {
    const MaglevSequence sequence = maglev_sequence(members[i].name, size);
    walkers.push_back({.position = sequence.offset,
                       .skip = sequence.skip,
                       .two_skips = sum_modulo(sequence.skip, sequence.skip, size),
                       .left = shares[i],
                       .credit_step = std::uint64_t{members[i].weight} * members.size(),
                       .backend = members[i].backend});
  }
  std::vector<std::uint16_t> slots(size);
  Bitmap taken(size);
  std::uint32_t free = size;
  const std::uint32_t last = std::min(size, LastSlots::kCount);
  Rounds rounds(walkers, total_weight(members));
  for (; free > last; --free) {
    Walker& walker = rounds.next();
    const std::uint32_t slot = next_free(taken, walker, size);
    taken.set(slot);
    slots[slot] = walker.backend;
  }
  LastSlots last_slots(taken, size);
  for (; free > 0; --free) {
    Walker& walker = rounds.next();
    slots[last_slots.take_next(walker)] = walker.backend;
  }
  return slots;
}

}  // namespace anypop::l4lb
