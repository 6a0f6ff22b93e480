// SPDX-License-Identifier: Apache-2.0
// The flows that a worker remembers, and the backend of each. A bucket of eight records of 8 bytes is one cache line,
// and a lookup touches no other; a filter of one byte a bucket says beforehand whether there is anything to find.
//
//   record   30 bits tag · 2 bits state · 16 bits backend id · 16 bits time it expires
//
// Bounded: memory is the caller's and never grows. Of eight places at least one is for half-open records (see insert())
// and at most three are; where a kind has too many, the one of it that would expire first gives way. So half-open
// records only push out each other, and a flood of connection attempts cannot touch an established flow. Keys are keyed
// hashes: nobody outside can aim at a bucket or at somebody's tag. Two flows of one bucket have the same tag with a
// probability of 2^-30.
//
// One writer, the worker. Other threads may call the const functions at any time: each record is one atomic word.
//
// The memory may be shared with a later process that takes the records over: adopt().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace anypop::l4lb {

// Time in units of 1.024 s, so that a millisecond clock that wraps at 2^32 wraps here without a jump.
class FlowClock {
 public:
  static std::uint16_t units(std::uint32_t now_ms) { return static_cast<std::uint16_t>(now_ms >> 10U); }
  // How many units a flow that was silent for `idle_ms` may have passed. At most 8 hours: a record's clock cannot tell
  // more than 9 apart.
  static std::uint16_t span(std::uint32_t idle_ms) { return static_cast<std::uint16_t>((idle_ms >> 10U) + 1); }
};

// What a worker did with its table since start.
struct FlowTableStats {
  std::uint64_t hits = 0;                 // packets that a record decided about
  std::uint64_t inserted = 0;             // records made
  std::uint64_t evicted_half_open = 0;    // pushed out before they expired
  std::uint64_t evicted_established = 0;  // the same: the table is too small for its flows
  std::uint64_t expired = 0;
  std::uint64_t half_open = 0;    // now in the table
  std::uint64_t established = 0;  // now in the table
};

// Memory for a table that no other process shall see, on huge pages where the kernel has them.
class FlowMemory {
 public:
  explicit FlowMemory(std::size_t bytes);
  std::span<std::byte> bytes() const { return {memory_.get(), bytes_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t bytes_;
};

class FlowTable {
 public:
  static constexpr unsigned kRecordsPerBucket = 8;
  static constexpr unsigned kHalfOpenPerBucket = 3;
  static constexpr unsigned kEstablishedPerBucket = 7;  // a flow that begins finds a place, however full the table is
  static constexpr std::uint32_t kHalfOpenMs = 30'000;  // that a half-open record may be silent
  static constexpr std::size_t kAlignment = 64;

  // For at least `records` records: 8.125 bytes each when that is a power of two.
  static std::size_t bytes_for(std::uint32_t records);

  // An empty table. Preconditions: memory of bytes_for(records), at a multiple of kAlignment, that outlives the table.
  // `key_check` stands for what the keys were made with.
  FlowTable(std::span<std::byte> memory, std::uint32_t records, std::uint64_t key_check);
  // The table that another process left in `memory`; nullopt if it has another layout, size or key. What it contains
  // may be anything: every record is read with suspicion anyway. Takes a pass over the memory.
  static std::optional<FlowTable> adopt(std::span<std::byte> memory, std::uint32_t records, std::uint64_t key_check);

  // A record that was found. Valid until the next insert().
  struct Found {
    std::atomic<std::uint64_t>* place = nullptr;  // nullptr: nothing was found
    std::uint64_t word = 0;
    bool half_open() const { return (word & kStateMask) == kHalfOpen; }
    std::uint16_t backend_id() const { return static_cast<std::uint16_t>(word >> 32U); }
    std::uint16_t expires() const { return static_cast<std::uint16_t>(word >> 48U); }
    explicit operator bool() const { return place != nullptr; }
  };

  // May there be a record? False is certain. prefetch_filter() and prefetch() ask the cache for what may_hold() and
  // find() will read.
  bool may_hold(std::uint64_t key) const {
    return (filter_[bucket_of(key)].load(std::memory_order_relaxed) & filter_bit(key)) != 0;
  }
  bool empty() const { return used_.load(std::memory_order_relaxed) == 0; }
  void prefetch_filter(std::uint64_t key) const { __builtin_prefetch(&filter_[bucket_of(key)]); }
  void prefetch(std::uint64_t key) const { __builtin_prefetch(&buckets_[bucket_of(key)]); }
  // The record that has not expired. Any thread may read Found::word, only the writer may use Found::place.
  Found find(std::uint64_t key, std::uint16_t now) const;

  // Writer. Times are FlowClock units: a record lives until `expires` has passed.
  struct Record {
    std::uint16_t backend_id = 0;
    bool half_open = false;  // made by what anybody can send, with any source: a SYN, a QUIC Initial
    std::uint16_t expires = 0;
  };
  // Precondition: find() finds nothing.
  void insert(std::uint64_t key, const Record& record, std::uint16_t now);
  // Puts something else in the place of a record.
  void update(const Found& found, const Record& record, std::uint16_t now);
  void erase(std::uint64_t key, const Found& found);
  void count_hit() { ++stats_.hits; }
  // To be called now and then, at best with every burst: drops what has expired, a few buckets at a time, the whole
  // table in two minutes. Cheap when there is nothing to do.
  void sweep(std::uint16_t now);

  const FlowTableStats& stats() const { return stats_; }
  std::uint32_t capacity() const { return (mask_ + 1) * kRecordsPerBucket; }

 private:
  using Entry = std::atomic<std::uint64_t>;
  struct alignas(64) Bucket {
    Entry entries[kRecordsPerBucket];
  };
  static_assert(sizeof(Bucket) == 64 && Entry::is_always_lock_free);
  struct Header;

  static constexpr std::uint64_t kStateMask = 3;
  static constexpr std::uint64_t kHalfOpen = 1;
  static constexpr std::uint64_t kEstablished = 2;

  struct Attach {};
  FlowTable(Attach, std::span<std::byte> memory, std::uint32_t records);

  // The upper bits of a key choose the slot of a service, so they are alike where few slots are remembered.
  std::uint32_t bucket_of(std::uint64_t key) const { return static_cast<std::uint32_t>(key >> 30U) & mask_; }
  static std::uint64_t tag_bits(std::uint64_t key) { return (key & 0x3fffffffU) << 2U; }
  static std::uint8_t filter_bit(std::uint64_t key) { return static_cast<std::uint8_t>(1U << (key & 7U)); }
  static std::uint64_t word_of(std::uint64_t key, const Record& record);
  void drop(Entry& entry, std::uint64_t word);
  struct Census;
  Census take_census(Bucket& bucket, const Entry* except, std::uint16_t now);
  void expire(Entry& entry, std::uint64_t word);
  Entry* evict(Entry* entry, std::uint64_t& count);
  void confirm(const Found& found, std::uint16_t now);
  Entry* place_for(Bucket& bucket, bool half_open, std::uint16_t now);
  void clean(std::uint32_t bucket, std::uint16_t now);
  void refilter(std::uint32_t bucket);
  void store_used();

  std::uint32_t mask_ = 0;  // number of buckets, less one
  std::atomic<std::uint8_t>* filter_ = nullptr;
  Bucket* buckets_ = nullptr;
  std::uint32_t swept_ = 0;  // where the sweep stands
  std::uint16_t swept_at_ = 0;
  std::uint32_t to_sweep_ = 0;
  FlowTableStats stats_;
  struct Used {  // movable, although an atomic is not
    std::atomic<std::uint64_t> value{0};
    Used() = default;
    Used(const Used& other) : value(other.value.load(std::memory_order_relaxed)) {}
    Used& operator=(const Used& other) {
      value.store(other.value.load(std::memory_order_relaxed), std::memory_order_relaxed);
      return *this;
    }
    std::uint64_t load(std::memory_order order) const { return value.load(order); }
  };
  Used used_;
};

}  // namespace anypop::l4lb
