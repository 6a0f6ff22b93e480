// SPDX-License-Identifier: Apache-2.0
#include "l4lb/flow_table.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>

#include <sys/mman.h>

namespace anypop::l4lb {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20U;
constexpr std::uint64_t kMagic = 0x414e59504f504654ULL;  // "ANYPOPFT"
constexpr std::uint32_t kLayoutVersion = 2;
// The whole table every two minutes, in shares of a unit of time, a few buckets a burst.
constexpr std::uint32_t kUnitsPerPass = 120;
constexpr std::uint32_t kSweepAtOnce = 16;

std::uint32_t buckets_for(std::uint32_t records) {
  return std::bit_ceil(std::max(records / FlowTable::kRecordsPerBucket, 1U));
}

std::uint16_t expires_of(std::uint64_t word) { return static_cast<std::uint16_t>(word >> 48U); }

// Are at least `least` bits set? (std::popcount() calls a function where not every processor has an instruction for
// it.)
constexpr bool has(unsigned bits, unsigned least) {
  for (; least > 1; --least) bits &= bits - 1;
  return bits != 0;
}

}  // namespace

FlowMemory::FlowMemory(std::size_t bytes)
    : memory_(static_cast<std::byte*>(
          std::aligned_alloc(kHugePageBytes, (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes))),
      bytes_(bytes) {
  if (memory_ == nullptr) throw std::bad_alloc();
  (void)::madvise(memory_.get(), bytes, MADV_HUGEPAGE);  // only a wish
}

void FlowMemory::Free::operator()(std::byte* memory) const { std::free(memory); }

struct FlowTable::Header {
  std::uint64_t magic = kMagic;
  std::uint32_t version = kLayoutVersion;
  std::uint32_t buckets = 0;
  std::uint64_t key_check = 0;
  std::array<std::uint64_t, 5> reserved{};
};

std::size_t FlowTable::bytes_for(std::uint32_t records) {
  static_assert(sizeof(Header) == kAlignment);
  const std::size_t filter = (buckets_for(records) + kAlignment - 1) / kAlignment * kAlignment;
  return sizeof(Header) + filter + buckets_for(records) * sizeof(Bucket);
}

FlowTable::FlowTable(Attach, std::span<std::byte> memory, std::uint32_t records) : mask_(buckets_for(records) - 1) {
  assert(memory.size() >= bytes_for(records));
  assert(reinterpret_cast<std::uintptr_t>(memory.data()) % kAlignment == 0);
  filter_ = reinterpret_cast<std::atomic<std::uint8_t>*>(memory.data() + sizeof(Header));
  buckets_ = reinterpret_cast<Bucket*>(memory.data() + bytes_for(records) - (mask_ + std::size_t{1}) * sizeof(Bucket));
}

FlowTable::FlowTable(std::span<std::byte> memory, std::uint32_t records, std::uint64_t key_check)
    : FlowTable(Attach{}, memory, records) {
  std::memset(memory.data(), 0, bytes_for(records));
  const Header header{.buckets = mask_ + 1, .key_check = key_check};
  std::memcpy(memory.data(), &header, sizeof(header));
}

std::optional<FlowTable> FlowTable::adopt(std::span<std::byte> memory, std::uint32_t records, std::uint64_t key_check) {
  if (memory.size() < bytes_for(records)) return std::nullopt;
  const Header expected{.buckets = buckets_for(records), .key_check = key_check};
  if (std::memcmp(memory.data(), &expected, sizeof(expected)) != 0) return std::nullopt;
  FlowTable table(Attach{}, memory, records);
  for (std::uint32_t bucket = 0; bucket <= table.mask_; ++bucket) {
    for (Entry& entry : table.buckets_[bucket].entries) {
      const std::uint64_t word = entry.load(std::memory_order_relaxed);
      const std::uint64_t state = word & kStateMask;
      if (state == kHalfOpen) ++table.stats_.half_open;
      if (state == kEstablished || state == kClosing) ++table.stats_.established;
      if (state == 0) entry.store(0, std::memory_order_relaxed);
    }
    table.refilter(bucket);
  }
  table.store_used();
  return table;
}

inline void FlowTable::store_used() {
  used_.value.store(stats_.half_open + stats_.established, std::memory_order_relaxed);
}

FlowTable::Found FlowTable::find(std::uint64_t key, std::uint16_t now) const {
  const auto least = static_cast<std::uint32_t>(tag_bits(key) | kHalfOpen);
  // The states that are in use are 1 to 3, so equal tags are at most 2 apart.
  for (Entry& entry : buckets_[bucket_of(key)].entries) {
    const std::uint64_t word = entry.load(std::memory_order_relaxed);
    if (static_cast<std::uint32_t>(word) - least > 2U) continue;
    if (passed(expires_of(word), now)) return {};
    return {.place = &entry, .word = word};
  }
  return {};
}

// Takes a record out of the statistics; its place may then be used.
void FlowTable::drop(Entry& entry, std::uint64_t word) {
  --((word & kStateMask) == kHalfOpen ? stats_.half_open : stats_.established);
  entry.store(0, std::memory_order_relaxed);
}

// The places of a bucket, one bit each. Without branches: what a bucket contains cannot be predicted.
struct FlowTable::Census {
  unsigned free = 0;
  unsigned expired = 0;
  unsigned half_open = 0;
  unsigned established = 0;
};

#if defined(__SSE2__) && defined(__x86_64__)
[[gnu::always_inline]] inline FlowTable::Census FlowTable::take_census(const Bucket& bucket, std::uint16_t now) {
  // The upper halves of four records: backend and time.
  const auto upper = [words = reinterpret_cast<const float*>(&bucket)](unsigned first) {
    return _mm_castps_si128(
        _mm_shuffle_ps(_mm_load_ps(words + 2 * first), _mm_load_ps(words + 2 * first + 4), _MM_SHUFFLE(3, 1, 3, 1)));
  };
  const __m128i state_mask = _mm_set1_epi32(static_cast<int>(kStateMask));
  // Now 16 bits of each of the eight.
  const __m128i states = _mm_packs_epi32(_mm_and_si128(lower_halves(bucket, 0), state_mask),
                                         _mm_and_si128(lower_halves(bucket, 4), state_mask));
  const __m128i expires = _mm_packs_epi32(_mm_srai_epi32(upper(0), 16), _mm_srai_epi32(upper(4), 16));
  const __m128i zero = _mm_setzero_si128();
  const __m128i used = _mm_cmpgt_epi16(states, zero);
  const __m128i late = _mm_cmpgt_epi16(_mm_sub_epi16(_mm_set1_epi16(static_cast<short>(now)), expires), zero);
  const __m128i half_open = _mm_cmpeq_epi16(states, _mm_set1_epi16(static_cast<short>(kHalfOpen)));
  const __m128i valid = _mm_andnot_si128(late, used);
  const auto first = static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(used, _mm_and_si128(used, late))));
  const auto second = static_cast<unsigned>(
      _mm_movemask_epi8(_mm_packs_epi16(_mm_and_si128(valid, half_open), _mm_andnot_si128(half_open, valid))));
  return {.free = ~first & 0xffU, .expired = first >> 8U, .half_open = second & 0xffU, .established = second >> 8U};
}
#else
FlowTable::Census FlowTable::take_census(const Bucket& bucket, std::uint16_t now) {
  unsigned used = 0;
  unsigned late = 0;
  unsigned half_open = 0;
  for (unsigned i = 0; i < kRecordsPerBucket; ++i) {
    const std::uint64_t word = bucket.entries[i].load(std::memory_order_relaxed);
    used |= static_cast<unsigned>(word != 0) << i;
    late |= static_cast<unsigned>(passed(expires_of(word), now)) << i;
    half_open |= static_cast<unsigned>((word & kStateMask) == kHalfOpen) << i;
  }
  const unsigned valid = used & ~late;
  return {.free = ~used & ((1U << kRecordsPerBucket) - 1),
          .expired = used & late,
          .half_open = valid & half_open,
          .established = valid & ~half_open};
}
#endif

// Of the places in `among`, at least one: the one whose record expires first.
unsigned FlowTable::soonest(const Bucket& bucket, unsigned among) {
  const auto expires = [&](unsigned at) { return expires_of(bucket.entries[at].load(std::memory_order_relaxed)); };
  auto first = static_cast<unsigned>(std::countr_zero(among));
  for (unsigned left = among & (among - 1); left != 0; left &= left - 1) {
    const auto at = static_cast<unsigned>(std::countr_zero(left));
    if (static_cast<std::int16_t>(expires(at) - expires(first)) < 0) first = at;
  }
  return first;
}

void FlowTable::expire(Entry& entry, std::uint64_t word) {
  drop(entry, word);
  ++stats_.expired;
}

[[gnu::noinline]] void FlowTable::expire_all(std::uint32_t bucket, std::uint16_t now) {
  for (Entry& entry : buckets_[bucket].entries) {
    const std::uint64_t word = entry.load(std::memory_order_relaxed);
    if (word != 0 && passed(expires_of(word), now)) expire(entry, word);
  }
  refilter(bucket);
}

// The filter keeps the record's bit until the sweep comes by.
FlowTable::Entry& FlowTable::evict(std::uint32_t bucket, unsigned among, std::uint64_t& count) {
  ++count;
  Entry& entry = buckets_[bucket].entries[soonest(buckets_[bucket], among)];
  drop(entry, entry.load(std::memory_order_relaxed));
  return entry;
}

// Where a new record goes.
[[gnu::always_inline]] inline FlowTable::Entry& FlowTable::place_for(std::uint32_t bucket, bool half_open,
                                                                     std::uint16_t now) {
  Census census = take_census(buckets_[bucket], now);
  if (census.expired != 0) [[unlikely]] {
    expire_all(bucket, now);
    census = take_census(buckets_[bucket], now);
  }
  const bool enough =
      half_open ? has(census.half_open, kHalfOpenPerBucket) : has(census.established, kEstablishedPerBucket);
  if (census.free == 0 || enough) {
    // (A table that was adopted may have a bucket with too many established ones.)
    if ((half_open || !enough) && census.half_open != 0) {
      return evict(bucket, census.half_open, stats_.evicted_half_open);
    }
    return evict(bucket, census.established, stats_.evicted_established);
  }
  return buckets_[bucket].entries[std::countr_zero(census.free)];
}

void FlowTable::insert(std::uint64_t key, const Record& record, std::uint16_t now) {
  const std::uint32_t bucket = bucket_of(key);
  Entry& place = place_for(bucket, record.half_open, now);
  place.store(tag_bits(key) | bits_of(record), std::memory_order_relaxed);
  ++stats_.inserted;
  ++(record.half_open ? stats_.half_open : stats_.established);
  const unsigned filter = filter_[bucket].load(std::memory_order_relaxed);
  filter_[bucket].store(static_cast<std::uint8_t>(filter | filter_bit(key)), std::memory_order_relaxed);
  store_used();
}

// A record changes between half-open and not.
void FlowTable::confirm_or_not(const Found& found, bool half_open, std::uint16_t now) {
  const auto bucket =
      static_cast<std::uint32_t>((reinterpret_cast<std::byte*>(found.place) - reinterpret_cast<std::byte*>(buckets_)) /
                                 static_cast<std::ptrdiff_t>(sizeof(Bucket)));
  if (!half_open) {
    const auto self = 1U << static_cast<unsigned>(found.place - buckets_[bucket].entries);
    const unsigned others = take_census(buckets_[bucket], now).established & ~self;
    if (has(others, kEstablishedPerBucket)) evict(bucket, others, stats_.evicted_established);
  }
  --(found.half_open() ? stats_.half_open : stats_.established);
  ++(half_open ? stats_.half_open : stats_.established);
}

void FlowTable::erase(std::uint64_t key, const Found& found) {
  drop(*found.place, found.word);
  refilter(bucket_of(key));
  store_used();
}

void FlowTable::refilter(std::uint32_t bucket) {
  unsigned bits = 0;
  for (const Entry& entry : buckets_[bucket].entries) {
    const std::uint64_t word = entry.load(std::memory_order_relaxed);
    bits |= static_cast<unsigned>(word != 0) << ((word >> 2U) & 7U);
  }
  filter_[bucket].store(static_cast<std::uint8_t>(bits), std::memory_order_relaxed);
}

void FlowTable::clean(std::uint32_t bucket, std::uint16_t now) {
  if (filter_[bucket].load(std::memory_order_relaxed) != 0) expire_all(bucket, now);
}

void FlowTable::sweep(std::uint16_t now) {
  if (empty()) return;
  if (now != swept_at_) {
    swept_at_ = now;
    to_sweep_ = mask_ / kUnitsPerPass + 1;
  }
  if (to_sweep_ == 0) return;
  for (std::uint32_t i = 0; i < kSweepAtOnce && to_sweep_ > 0; ++i, --to_sweep_) {
    clean(swept_, now);
    swept_ = (swept_ + 1) & mask_;
  }
  store_used();
}

}  // namespace anypop::l4lb
