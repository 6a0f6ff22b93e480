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
constexpr std::uint32_t kLayoutVersion = 1;
// The whole table every two minutes, in shares of a unit of time, a few buckets a burst.
constexpr std::uint32_t kUnitsPerPass = 120;
constexpr std::uint32_t kSweepAtOnce = 16;

bool passed(std::uint16_t time, std::uint16_t now) { return static_cast<std::int16_t>(now - time) > 0; }

std::uint32_t buckets_for(std::uint32_t records) {
  return std::bit_ceil(std::max(records / FlowTable::kRecordsPerBucket, 1U));
}

std::uint16_t expires_of(std::uint64_t word) { return static_cast<std::uint16_t>(word >> 48U); }

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
      if (state == kEstablished) ++table.stats_.established;
      if (state != kHalfOpen && state != kEstablished) entry.store(0, std::memory_order_relaxed);
    }
    table.refilter(bucket);
  }
  table.store_used();
  return table;
}

void FlowTable::store_used() { used_.value.store(stats_.half_open + stats_.established, std::memory_order_relaxed); }

FlowTable::Found FlowTable::find(std::uint64_t key, std::uint16_t now) const {
  const auto least = static_cast<std::uint32_t>(tag_bits(key) | kHalfOpen);
  // The states that are in use are 1 and 2, so equal tags are at most 1 apart.
  for (Entry& entry : buckets_[bucket_of(key)].entries) {
    const std::uint64_t word = entry.load(std::memory_order_relaxed);
    if (static_cast<std::uint32_t>(word) - least > 1U) continue;
    if (passed(expires_of(word), now)) return {};
    return {.place = &entry, .word = word};
  }
  return {};
}

std::uint64_t FlowTable::word_of(std::uint64_t key, const Record& record) {
  return tag_bits(key) | (record.half_open ? kHalfOpen : kEstablished) | (std::uint64_t{record.backend_id} << 32U) |
         (std::uint64_t{record.expires} << 48U);
}

// Takes a record out of the statistics; its place may then be used.
void FlowTable::drop(Entry& entry, std::uint64_t word) {
  --((word & kStateMask) == kHalfOpen ? stats_.half_open : stats_.established);
  entry.store(0, std::memory_order_relaxed);
}

// What is in a bucket once what has expired is gone.
struct FlowTable::Census {
  Entry* free = nullptr;
  Entry* first_half_open = nullptr;  // of each kind the one that expires first
  Entry* first_established = nullptr;
  unsigned half_open = 0;
  unsigned established = 0;
};

FlowTable::Census FlowTable::take_census(Bucket& bucket, const Entry* except, std::uint16_t now) {
  Census census;
  const auto note = [](Entry& entry, std::uint64_t word, unsigned& count, Entry*& first) {
    ++count;
    const bool sooner =
        first == nullptr ||
        static_cast<std::int16_t>(expires_of(word) - expires_of(first->load(std::memory_order_relaxed))) < 0;
    if (sooner) first = &entry;
  };
  for (Entry& entry : bucket.entries) {
    const std::uint64_t word = entry.load(std::memory_order_relaxed);
    if (&entry == except) continue;
    if (word == 0 || passed(expires_of(word), now)) {
      if (word != 0) expire(entry, word);
      census.free = &entry;
    } else if ((word & kStateMask) == kHalfOpen) {
      note(entry, word, census.half_open, census.first_half_open);
    } else {
      note(entry, word, census.established, census.first_established);
    }
  }
  return census;
}

void FlowTable::expire(Entry& entry, std::uint64_t word) {
  drop(entry, word);
  ++stats_.expired;
}

FlowTable::Entry* FlowTable::evict(Entry* entry, std::uint64_t& count) {
  ++count;
  drop(*entry, entry->load(std::memory_order_relaxed));
  return entry;
}

// Where a new record goes.
FlowTable::Entry* FlowTable::place_for(Bucket& bucket, bool half_open, std::uint16_t now) {
  const Census census = take_census(bucket, nullptr, now);
  const bool enough = half_open ? census.half_open >= kHalfOpenPerBucket : census.established >= kEstablishedPerBucket;
  if (census.free != nullptr && !enough) return census.free;
  // (A table that was adopted may have a bucket with too many established ones.)
  if ((half_open || !enough) && census.first_half_open != nullptr)
    return evict(census.first_half_open, stats_.evicted_half_open);
  return evict(census.first_established, stats_.evicted_established);
}

void FlowTable::insert(std::uint64_t key, const Record& record, std::uint16_t now) {
  const std::uint32_t bucket = bucket_of(key);
  Entry* const place = place_for(buckets_[bucket], record.half_open, now);
  place->store(word_of(key, record), std::memory_order_relaxed);
  ++stats_.inserted;
  ++(record.half_open ? stats_.half_open : stats_.established);
  refilter(bucket);
  store_used();
}

void FlowTable::confirm(const Found& found, std::uint16_t now) {
  Bucket& bucket = buckets_[(reinterpret_cast<std::byte*>(found.place) - reinterpret_cast<std::byte*>(buckets_)) /
                            static_cast<std::ptrdiff_t>(sizeof(Bucket))];
  const Census census = take_census(bucket, found.place, now);
  if (census.established >= kEstablishedPerBucket) evict(census.first_established, stats_.evicted_established);
}

void FlowTable::update(const Found& found, const Record& record, std::uint16_t now) {
  const std::uint64_t tag = found.word & 0xfffffffcU;
  const std::uint64_t word = word_of(tag >> 2U, record);
  if (word == found.word) return;
  if (found.half_open() != record.half_open) {
    if (found.half_open()) confirm(found, now);
    --(found.half_open() ? stats_.half_open : stats_.established);
    ++(record.half_open ? stats_.half_open : stats_.established);
  }
  found.place->store(word, std::memory_order_relaxed);
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
  if (filter_[bucket].load(std::memory_order_relaxed) == 0) return;
  for (Entry& entry : buckets_[bucket].entries) {
    const std::uint64_t word = entry.load(std::memory_order_relaxed);
    if (word != 0 && passed(expires_of(word), now)) expire(entry, word);
  }
  refilter(bucket);
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
