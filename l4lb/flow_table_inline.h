// SPDX-License-Identifier: Apache-2.0
// flow_table.cc's part that the packet path wants inlined: what a new flow takes.
#pragma once

#include <bit>
#include <cstdint>

#include "l4lb/flow_table.h"

namespace anypop::l4lb {

namespace flow_table {

// Are at least kLeast of the eight bits set? (std::popcount() calls a function where not every processor has an
// instruction for it.)
template <unsigned kLeast>
bool has(unsigned bits) {
  constexpr unsigned kAll = FlowTable::kRecordsPerBucket;
  if constexpr (kLeast > kAll / 2) return !has<kAll + 1 - kLeast>(~bits & ((1U << kAll) - 1));
  for (unsigned left = kLeast; left > 1; --left) bits &= bits - 1;
  return bits != 0;
}

// Of a record.
inline std::uint16_t expires_of(std::uint64_t word) { return static_cast<std::uint16_t>(word >> 48U); }

// The first bit that is set; one must be.
inline unsigned first_of(unsigned bits) {
  if (bits == 0) __builtin_unreachable();
  return static_cast<unsigned>(std::countr_zero(bits));
}

}  // namespace flow_table

inline void FlowTable::store_used() {
  used_.value.store(in_state_[kHalfOpen] + in_state_[kEstablished] + in_state_[kClosing], std::memory_order_relaxed);
}

// One word for another, 0 for an unused place.
inline void FlowTable::put(Entry& entry, std::uint64_t old, std::uint64_t word) {
  --in_state_[old & kStateMask];
  ++in_state_[word & kStateMask];
  entry.store(word, std::memory_order_relaxed);
}

// What a bucket contains cannot be predicted, so it is looked at as a whole and without branches.
#if defined(__SSE2__) && defined(__x86_64__)
// The upper halves of four records: backend and time.
inline __m128i FlowTable::upper_halves(const Bucket& bucket, unsigned first) {
  const auto* const words = reinterpret_cast<const float*>(&bucket);
  return _mm_castps_si128(
      _mm_shuffle_ps(_mm_load_ps(words + 2 * first), _mm_load_ps(words + 2 * first + 4), _MM_SHUFFLE(3, 1, 3, 1)));
}

// When the eight expire.
inline __m128i FlowTable::times(const Bucket& bucket) {
  return _mm_packs_epi32(_mm_srai_epi32(upper_halves(bucket, 0), 16), _mm_srai_epi32(upper_halves(bucket, 4), 16));
}

// Of the places in `among`, at least one: the first one whose record expires first.
inline unsigned FlowTable::soonest(const Bucket& bucket, unsigned among, std::uint16_t now) {
  const __m128i bits = _mm_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128);
  const __m128i not_among =
      _mm_cmpeq_epi16(_mm_and_si128(_mm_set1_epi16(static_cast<short>(among)), bits), _mm_setzero_si128());
  const __m128i left = _mm_sub_epi16(times(bucket), _mm_set1_epi16(static_cast<short>(now)));
  // The longest time for those that are not meant.
  const __m128i all = _mm_or_si128(_mm_andnot_si128(not_among, left), _mm_and_si128(not_among, _mm_set1_epi16(0x7fff)));
  __m128i least = _mm_min_epi16(all, _mm_shuffle_epi32(all, _MM_SHUFFLE(1, 0, 3, 2)));
  least = _mm_min_epi16(least, _mm_shuffle_epi32(least, _MM_SHUFFLE(2, 3, 0, 1)));
  least = _mm_min_epi16(least, _mm_or_si128(_mm_slli_epi32(least, 16), _mm_srli_epi32(least, 16)));
  const __m128i first = _mm_andnot_si128(not_among, _mm_cmpeq_epi16(all, least));
  return flow_table::first_of(static_cast<unsigned>(_mm_movemask_epi8(first))) / 2;
}

[[gnu::always_inline]] inline FlowTable::Look FlowTable::look_at(std::uint32_t at, std::uint64_t tag,
                                                                 std::uint16_t now) {
  Bucket& bucket = buckets_[at];
  const __m128i lower[] = {lower_halves(bucket, 0), lower_halves(bucket, 4)};
  const auto same_tag = [wanted = _mm_set1_epi32(static_cast<int>(static_cast<std::uint32_t>(tag)))](__m128i halves) {
    return _mm_cmpeq_epi32(_mm_andnot_si128(_mm_set1_epi32(static_cast<int>(kStateMask)), halves), wanted);
  };
  const auto state = [](__m128i halves) { return _mm_and_si128(halves, _mm_set1_epi32(static_cast<int>(kStateMask))); };
  // From here on, 16 bits of each of the eight.
  const __m128i same = _mm_packs_epi32(same_tag(lower[0]), same_tag(lower[1]));
  const __m128i states = _mm_packs_epi32(state(lower[0]), state(lower[1]));
  const __m128i zero = _mm_setzero_si128();
  const __m128i left = _mm_sub_epi16(times(bucket), _mm_set1_epi16(static_cast<short>(now)));
  const __m128i late = _mm_cmpgt_epi16(zero, left);
  const __m128i valid = _mm_andnot_si128(late, _mm_cmpgt_epi16(states, zero));
  const __m128i half_open = _mm_cmpeq_epi16(states, _mm_set1_epi16(static_cast<short>(kHalfOpen)));
  const auto matches = static_cast<unsigned>(_mm_movemask_epi8(_mm_and_si128(valid, same)));

  Look look;
  look.bucket = at;
  look.places = static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(valid, _mm_and_si128(valid, half_open))));
  if (matches != 0) {
    Entry& entry = bucket.entries[flow_table::first_of(matches) / 2];
    look.found = {.place = &entry, .word = entry.load(std::memory_order_relaxed)};
  }
  return look;
}
#else
inline unsigned FlowTable::soonest(const Bucket& bucket, unsigned among, std::uint16_t now) {
  const auto left = [&](unsigned at) {
    return static_cast<std::int16_t>(flow_table::expires_of(bucket.entries[at].load(std::memory_order_relaxed)) - now);
  };
  auto first = static_cast<unsigned>(std::countr_zero(among));
  for (unsigned others = among & (among - 1); others != 0; others &= others - 1) {
    const auto at = static_cast<unsigned>(std::countr_zero(others));
    if (left(at) < left(first)) first = at;
  }
  return first;
}

inline FlowTable::Look FlowTable::look_at(std::uint32_t at, std::uint64_t tag, std::uint16_t now) {
  Look look;
  look.bucket = at;
  for (unsigned i = 0; i < kRecordsPerBucket; ++i) {
    Entry& entry = buckets_[at].entries[i];
    const std::uint64_t word = entry.load(std::memory_order_relaxed);
    const bool valid = word != 0 && !passed(flow_table::expires_of(word), now);
    const bool half_open = (word & kStateMask) == kHalfOpen;
    look.places |= (static_cast<unsigned>(valid) | (static_cast<unsigned>(valid && half_open) << kRecordsPerBucket))
                   << i;
    if (valid && (word & kTagMask) == tag && !look.found) look.found = {.place = &entry, .word = word};
  }
  return look;
}
#endif

[[gnu::always_inline]] inline FlowTable::Look FlowTable::look_inline(std::uint64_t key, std::uint16_t now) {
  return look_at(bucket_of(key), tag_bits(key), now);
}

// Who gives way in a full bucket, or in one with enough of the kind.
inline FlowTable::Entry& FlowTable::victim(const Look& look, bool half_open, std::uint16_t now) {
  Bucket& bucket = buckets_[look.bucket];
  Entry& entry = bucket.entries[soonest(bucket, half_open ? look.half_open() : look.established(), now)];
  ++(half_open ? stats_.evicted_half_open : stats_.evicted_established);
  return entry;
}

// The filter keeps the bits of records that make room until the sweep comes by.
[[gnu::always_inline]] inline void FlowTable::insert_inline(std::uint64_t key, const Record& record, std::uint16_t now,
                                                            const Look& look) {
  const bool enough = record.half_open ? flow_table::has<kHalfOpenPerBucket>(look.half_open())
                                       : flow_table::has<kEstablishedPerBucket>(look.established());
  const bool make_room = look.free() == 0 || enough;
  // (A table that was adopted may have a bucket with too many established ones.)
  const bool of_half_open = (record.half_open || !enough) && look.half_open() != 0;
  Entry& place =
      make_room ? victim(look, of_half_open, now) : buckets_[look.bucket].entries[flow_table::first_of(look.free())];
  const std::uint64_t old = place.load(std::memory_order_relaxed);
  put(place, old, tag_bits(key) | bits_of(record));
  ++stats_.inserted;
  if (!make_room) {
    if (old != 0) ++stats_.expired;
    store_used();
  }
  const unsigned filter = filter_[look.bucket].load(std::memory_order_relaxed);
  filter_[look.bucket].store(static_cast<std::uint8_t>(filter | filter_bit(key)), std::memory_order_relaxed);
}

}  // namespace anypop::l4lb
