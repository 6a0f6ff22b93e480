// SPDX-License-Identifier: Apache-2.0
#include "maglev.h"

#include <algorithm>
#include <array>
#include <bit>
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

// (a + b) modulo size, for both below size. Without a branch: it could not be predicted.
std::uint32_t sum_modulo(std::uint32_t a, std::uint32_t b, std::uint32_t size) { return std::min(a + b, a + b - size); }

// Which slots are taken: one bit each, twice over, so that a position up to twice the size needs no modulo. For 65537
// slots 16 KiB, which stay in the first-level cache while the table itself would not.
class Taken {
 public:
  explicit Taken(std::uint32_t size) : size_(size), words_(2 * size / 64 + 1) {}
  // 0 or 1. Precondition: below twice the size.
  unsigned test(std::uint32_t position) const {
    return static_cast<unsigned>(words_[position / 64] >> (position % 64)) & 1U;
  }
  void set(std::uint32_t slot) {
    set_bit(slot);
    set_bit(slot + size_);
  }

 private:
  void set_bit(std::uint32_t bit) { words_[bit / 64] |= std::uint64_t{1} << (bit % 64); }

  std::uint32_t size_;
  std::vector<std::uint64_t> words_;
};

// How many positions are tried at once. There are about size × ln(size) tries, nobody can predict which one succeeds,
// and one position after the other would be a chain of dependent steps.
constexpr std::size_t kAtOnce = 6;

struct Walker {
  std::uint32_t position = 0;
  std::uint32_t left = 0;                     // slots still to take
  std::array<std::uint32_t, kAtOnce> skip{};  // one skip, two skips, …
  std::uint64_t fraction_per_slot = 0;        // see LastSlots; 0: not computed yet
  std::uint64_t credit = 0;                   // towards its next turn
  std::uint64_t credit_step = 0;              // earned in each round
  std::uint16_t backend = 0;
};

void set_skips(std::uint32_t skip, std::uint32_t size, Walker& walker) {
  std::uint32_t sum = 0;
  for (std::uint32_t& of : walker.skip) of = sum = sum_modulo(sum, skip, size);
}

std::uint32_t next_free(const Taken& taken, Walker& walker, std::uint32_t size) {
  std::uint32_t position = walker.position;
  if (taken.test(position) != 0) {
    constexpr unsigned kAll = (1U << kAtOnce) - 1;
    for (;;) {
      unsigned tries = 0;
      for (std::size_t i = 0; i < kAtOnce; ++i) tries |= taken.test(position + walker.skip[i]) << i;
      const auto skips = tries == kAll ? kAtOnce - 1 : static_cast<std::size_t>(std::countr_one(tries));
      position = sum_modulo(position, walker.skip[skips], size);
      if (tries != kAll) break;
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
  Rounds(std::span<Walker> walkers, std::uint64_t credit_per_turn)
      : first_(walkers.data()), end_(first_ + walkers.size()), at_(first_), credit_per_turn_(credit_per_turn) {
    at_->credit = at_->credit_step;
  }

  // Precondition: somebody has a slot left to take.
  Walker& next() {
    for (;;) {
      if (at_->credit >= credit_per_turn_ && at_->left > 0) {
        at_->credit -= credit_per_turn_;
        --at_->left;
        return *at_;
      }
      if (++at_ == end_) at_ = first_;
      at_->credit += at_->credit_step;
    }
  }

 private:
  Walker* first_;
  Walker* end_;
  Walker* at_;
  std::uint64_t credit_per_turn_;
};

// The last free slots are searched from the other side. Trying positions costs size / free of them a slot, half of all
// the work for the last 256 slots; instead each free slot is asked how many steps away from the walker it is.
//
// That is distance × inverse(skip) modulo size. The nearest slot is the one for which this, over size, has the smallest
// fractional part, and a fractional part in 64 bits is what is left of a product that overflows: one multiplication, no
// division. Its error is below 2 × size, far less than a step (2^64 / size).
class LastSlots {
 public:
  static constexpr std::uint32_t kCount = 256;

  LastSlots(const Taken& taken, std::uint32_t size) : size_(size) {
    for (std::uint32_t slot = 0; slot < size; ++slot) {
      if (taken.test(slot) == 0) free_.push_back(slot);
    }
  }

  std::uint32_t take_next(Walker& walker) {
    if (walker.fraction_per_slot == 0) walker.fraction_per_slot = fraction(inverse(walker.skip[0]));
    const std::uint64_t per_slot = walker.fraction_per_slot;
    const std::uint64_t start = walker.position * per_slot - size_;  // size_: errors must not wrap below zero
    std::size_t nearest = 0;
    std::uint64_t fewest = ~std::uint64_t{0};
    for (std::size_t i = 0; i < free_.size(); ++i) {
      const std::uint64_t steps = free_[i] * per_slot - start;
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

  // 2^64 × a / size, for a below size.
  std::uint64_t fraction(std::uint32_t a) const {
    const std::uint64_t first = std::uint64_t{a} << 32U;
    return (first / size_ << 32U) + ((first % size_ << 32U) / size_);
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
  assert(!members.empty() && members.size() <= size && size < (1U << 31U));
  const std::vector<std::uint32_t> shares = maglev_shares(members, size);
  std::vector<Walker> walkers;
  for (const std::size_t i : by_name(members)) {
    const MaglevSequence sequence = maglev_sequence(members[i].name, size);
    Walker& walker = walkers.emplace_back();
    walker.position = sequence.offset;
    walker.left = shares[i];
    walker.credit_step = std::uint64_t{members[i].weight} * members.size();
    walker.backend = members[i].backend;
    set_skips(sequence.skip, size, walker);
  }
  std::vector<std::uint16_t> slots(size);
  Taken taken(size);
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
