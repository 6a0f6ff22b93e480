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

// Of 8 bits. std::popcount() calls a function where not every processor has an instruction for it.
unsigned count_bits(unsigned bits) {
  bits = (bits & 0x55U) + ((bits >> 1U) & 0x55U);
  bits = (bits & 0x33U) + ((bits >> 2U) & 0x33U);
  return (bits & 0xfU) + (bits >> 4U);
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

void FlowTable::store_used() { used_.value.store(stats_.half_open + stats_.established, std::memory_order_relaxed); }

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

// Of the places in `among`, at least one: the one whose record expires first.
unsigned FlowTable::soonest(const Bucket& bucket, unsigned among) {
  const auto expires = [&](unsigned at) { return expires_of(bucket.entries[at].load(std::memory_order_relaxed)); };
  auto first = static_cast<unsigned>(std::countr_zero(among));
  for (unsigned i = first + 1; i < kRecordsPerBucket; ++i) {
    const bool sooner = static_cast<std::int16_t>(expires(i) - expires(first)) < 0;
    if (((among >> i) & 1U) != 0 && sooner) first = i;
  }
  return first;
}

void FlowTable::expire(Entry& entry, std::uint64_t word) {
  drop(entry, word);
  ++stats_.expired;
}

void FlowTable::expire_all(std::uint32_t bucket, std::uint16_t now) {
  for (Entry& entry : buckets_[bucket].entries) {
    const std::uint64_t word = entry.load(std::memory_order_relaxed);
    if (word != 0 && passed(expires_of(word), now)) expire(entry, word);
  }
  refilter(bucket);
}

void FlowTable::evict(std::uint32_t bucket, unsigned among, std::uint64_t& count) {
  ++count;
  Entry& entry = buckets_[bucket].entries[soonest(buckets_[bucket], among)];
  drop(entry, entry.load(std::memory_order_relaxed));
  refilter(bucket);
}

// Where a new record goes.
FlowTable::Entry& FlowTable::place_for(std::uint32_t bucket, bool half_open, std::uint16_t now) {
  Census census = take_census(buckets_[bucket], now);
  if (census.expired != 0) [[unlikely]] {
    expire_all(bucket, now);
    census = take_census(buckets_[bucket], now);
  }
  const bool enough = half_open ? count_bits(census.half_open) >= kHalfOpenPerBucket
                                : count_bits(census.established) >= kEstablishedPerBucket;
  if (census.free == 0 || enough) {
    // (A table that was adopted may have a bucket with too many established ones.)
    if ((half_open || !enough) && census.half_open != 0) {
      evict(bucket, census.half_open, stats_.evicted_half_open);
    } else {
      evict(bucket, census.established, stats_.evicted_established);
    }
    census = take_census(buckets_[bucket], now);
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
    if (count_bits(others) >= kEstablishedPerBucket) evict(bucket, others, stats_.evicted_established);
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
