// SPDX-License-Identifier: Apache-2.0
#include "l4lb/flow_table.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>

#include <sys/mman.h>

#include "flow_table_inline.h"

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
      ++table.in_state_[word & kStateMask];
      if ((word & kStateMask) == 0) entry.store(0, std::memory_order_relaxed);
    }
    table.refilter(bucket);
  }
  table.store_used();
  return table;
}

FlowTable::Found FlowTable::find(std::uint64_t key, std::uint16_t now) const {
  const auto least = static_cast<std::uint32_t>(tag_bits(key) | kHalfOpen);
  // The states that are in use are 1 to 3, so equal tags are at most 2 apart.
  for (Entry& entry : buckets_[bucket_of(key)].entries) {
    const std::uint64_t word = entry.load(std::memory_order_relaxed);
    if (static_cast<std::uint32_t>(word) - least > 2U) continue;
    if (!passed(flow_table::expires_of(word), now)) return {.place = &entry, .word = word};
  }
  return {};
}

FlowTable::Look FlowTable::look(std::uint64_t key, std::uint16_t now) { return look_inline(key, now); }

void FlowTable::insert(std::uint64_t key, const Record& record, std::uint16_t now) {
  insert_inline(key, record, now, look_inline(key, now));
}

[[gnu::noinline]] void FlowTable::expire_all(std::uint32_t bucket, std::uint16_t now) {
  for (Entry& entry : buckets_[bucket].entries) {
    const std::uint64_t word = entry.load(std::memory_order_relaxed);
    if (word == 0 || !passed(flow_table::expires_of(word), now)) continue;
    put(entry, word, 0);
    ++stats_.expired;
  }
  refilter(bucket);
}

// `word` says whether it is half-open, established or closing; the record was something else.
void FlowTable::change_state(const Found& found, std::uint64_t word, std::uint16_t now) {
  const auto bucket =
      static_cast<std::uint32_t>((reinterpret_cast<std::byte*>(found.place) - reinterpret_cast<std::byte*>(buckets_)) /
                                 static_cast<std::ptrdiff_t>(sizeof(Bucket)));
  if (found.half_open()) {
    Look others = look_at(bucket, 0, now);
    others.places &= ~(1U << static_cast<unsigned>(found.place - buckets_[bucket].entries));
    if (flow_table::has<kEstablishedPerBucket>(others.established())) {
      Entry& entry = victim(others, false, now);
      put(entry, entry.load(std::memory_order_relaxed), 0);
      store_used();
    }
  }
  put(*found.place, found.word, word);
}

void FlowTable::erase(std::uint64_t key, const Found& found) {
  put(*found.place, found.word, 0);
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
