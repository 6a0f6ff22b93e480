// SPDX-License-Identifier: Apache-2.0
// The flows that a worker remembers, and the backend of each. A bucket of eight records of 8 bytes is one cache line,
// and a lookup touches no other; a filter of one byte a bucket says beforehand whether there is anything to find.
//
//   record   30 bits tag · 2 bits state · 16 bits backend id · 16 bits time it expires
//   state    half-open (as in RFC 4987: a SYN or a QUIC Initial, and nothing more), established, or closing (RFC 9293
//            section 3.6: a FIN was seen), which counts as established everywhere but in Found
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

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace anypop::l4lb {

// Time in units of 1.024 s, so that a millisecond clock that wraps at 2^32 wraps here without a jump.
class FlowClock {
 public:
  static constexpr std::uint16_t units(std::uint32_t now_ms) { return static_cast<std::uint16_t>(now_ms >> 10U); }
  // How many units a flow that was silent for `idle_ms` may have passed. At most 8 hours: a record's clock cannot tell
  // more than 9 apart.
  static constexpr std::uint16_t span(std::uint32_t idle_ms) {
    return static_cast<std::uint16_t>((idle_ms >> 10U) + 1);
  }
};

// What a worker did with its table since start.
struct FlowTableStats {
  std::uint64_t hits = 0;                 // packets that a record decided about
  std::uint64_t inserted = 0;             // records made
  std::uint64_t evicted_half_open = 0;    // pushed out before they expired
  std::uint64_t evicted_established = 0;  // the same: the table is too small for its flows
  std::uint64_t expired = 0;
  std::uint64_t half_open = 0;    // now in the table
  std::uint64_t established = 0;  // now in the table, those that close included
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
  using Entry = std::atomic<std::uint64_t>;
  struct Bucket;

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
    bool closing() const { return (word & kStateMask) == kClosing; }
    bool expired(std::uint16_t now) const { return passed(expires(), now); }
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
  void prefetch(std::uint64_t key) const { finder().prefetch(key); }
  // The record that has not expired. Any thread may read Found::word, only the writer may use Found::place.
  Found find(std::uint64_t key, std::uint16_t now) const;

  // What the writer's loops over packets need of the table, small enough to keep in registers.
  class Finder {
   public:
    void prefetch(std::uint64_t key) const { __builtin_prefetch(&bucket(key)); }
    // A record that is established, expired or not. In few instructions: what most packets have. (Should an expired one
    // lie before one of the same flow that has not, the latter is not found.)
    Found find_established(std::uint64_t key) const;

   private:
    friend FlowTable;
    Finder(std::byte* buckets, std::uint64_t mask) : buckets_(buckets), mask_(mask) {}
    Bucket& bucket(std::uint64_t key) const {
      // The upper bits of a key choose the slot of a service, so they are alike where few slots are remembered.
      static_assert(sizeof(Bucket) == 1U << kBucketShift);
      return *reinterpret_cast<Bucket*>(buckets_ + ((key >> (30U - kBucketShift)) & mask_));
    }
    std::byte* buckets_;
    std::uint64_t mask_;  // of where a bucket begins, in bytes
  };
  Finder finder() const { return {reinterpret_cast<std::byte*>(buckets_), std::uint64_t{mask_} << kBucketShift}; }

  // The writer's look at all of a bucket at once: the record of a flow, and where one would go. Valid until the table
  // changes.
  class Look {
   public:
    Found found;

   private:
    friend FlowTable;
    std::uint32_t bucket = 0;
    // Eight bits for the places with a record that has not expired, eight for those of them that are half-open.
    unsigned places = 0;
    unsigned free() const { return ~places & 0xffU; }
    unsigned half_open() const { return places >> kRecordsPerBucket; }
    unsigned established() const { return places & ~half_open() & 0xffU; }
  };
  Look look(std::uint64_t key, std::uint16_t now);
  Look look_inline(std::uint64_t key, std::uint16_t now);  // flow_table_inline.h

  // Writer. Times are FlowClock units: a record lives until `expires` has passed.
  struct Record {
    std::uint16_t backend_id = 0;
    bool half_open = false;  // made by what anybody can send, with any source: a SYN, a QUIC Initial
    bool closing = false;    // has seen a FIN. Not both
    std::uint16_t expires = 0;
  };
  // Precondition: nothing is found, and `look` is of this key and time, and the table as it was then.
  void insert_inline(std::uint64_t key, const Record& record, std::uint16_t now, const Look& look);
  void insert(std::uint64_t key, const Record& record, std::uint16_t now);
  // Puts something else in the place of a record.
  void update(const Found& found, const Record& record, std::uint16_t now) {
    const std::uint64_t word = (found.word & kTagMask) | bits_of(record);
    if (word == found.word) return;
    if (((word ^ found.word) & kStateMask) != 0) [[unlikely]]
      return change_state(found, word, now);
    found.place->store(word, std::memory_order_relaxed);
  }
  // The same record, which lives until another time.
  static void prolong(const Found& found, std::uint16_t expires) {
    constexpr std::uint64_t kAllButTime = ~std::uint64_t{0} >> 16U;
    found.place->store((found.word & kAllButTime) | (std::uint64_t{expires} << 48U), std::memory_order_relaxed);
  }
  void erase(std::uint64_t key, const Found& found);
  void count_hits(std::uint64_t hits) { stats_.hits += hits; }
  // To be called now and then, at best with every burst: drops what has expired, a few buckets at a time, the whole
  // table in two minutes. Cheap when there is nothing to do.
  void sweep(std::uint16_t now);

  FlowTableStats stats() const {
    FlowTableStats stats = stats_;
    stats.half_open = in_state_[kHalfOpen];
    stats.established = in_state_[kEstablished] + in_state_[kClosing];
    return stats;
  }
  std::uint32_t capacity() const { return (mask_ + 1) * kRecordsPerBucket; }

 private:
  static_assert(Entry::is_always_lock_free);
  struct Header;

  static constexpr std::uint64_t kStateMask = 3;
  static constexpr std::uint64_t kHalfOpen = 1;
  static constexpr std::uint64_t kEstablished = 2;
  static constexpr std::uint64_t kClosing = 3;
  static constexpr std::uint64_t kTagMask = 0xfffffffcU;

  struct alignas(64) Bucket {
    Entry entries[kRecordsPerBucket];
  };
  static constexpr unsigned kBucketShift = 6;

  struct Attach {};
  FlowTable(Attach, std::span<std::byte> memory, std::uint32_t records);

  // The upper bits of a key choose the slot of a service, so they are alike where few slots are remembered.
  std::uint32_t bucket_of(std::uint64_t key) const { return static_cast<std::uint32_t>(key >> 30U) & mask_; }
  static std::uint64_t tag_bits(std::uint64_t key) { return (key & 0x3fffffffU) << 2U; }
  static std::uint8_t filter_bit(std::uint64_t key) { return static_cast<std::uint8_t>(1U << (key & 7U)); }
  static std::uint64_t bits_of(const Record& record) {
    const std::uint64_t state = record.half_open ? kHalfOpen : (record.closing ? kClosing : kEstablished);
    return state | (std::uint64_t{record.backend_id} << 32U) | (std::uint64_t{record.expires} << 48U);
  }
  static bool passed(std::uint16_t time, std::uint16_t now) { return static_cast<std::int16_t>(time - now) < 0; }
  void put(Entry& entry, std::uint64_t old, std::uint64_t word);
#if defined(__SSE2__) && defined(__x86_64__)
  static __m128i lower_halves(const Bucket& bucket, unsigned first);
  static __m128i upper_halves(const Bucket& bucket, unsigned first);
  static __m128i times(const Bucket& bucket);
#endif
  static unsigned soonest(const Bucket& bucket, unsigned among, std::uint16_t now);
  Look look_at(std::uint32_t bucket, std::uint64_t tag, std::uint16_t now);
  void expire_all(std::uint32_t bucket, std::uint16_t now);
  Entry& victim(const Look& look, bool half_open, std::uint16_t now);
  void change_state(const Found& found, std::uint64_t word, std::uint16_t now);
  void clean(std::uint32_t bucket, std::uint16_t now);
  void refilter(std::uint32_t bucket);
  void store_used();

  std::uint32_t mask_ = 0;  // number of buckets, less one
  std::atomic<std::uint8_t>* filter_ = nullptr;
  Bucket* buckets_ = nullptr;
  std::uint32_t swept_ = 0;  // where the sweep stands
  std::uint16_t swept_at_ = 0;
  std::uint32_t to_sweep_ = 0;
  FlowTableStats stats_;  // but for what is in the table:
  std::array<std::uint64_t, 4> in_state_{};
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

#if defined(__SSE2__) && defined(__x86_64__)
// The lower halves of four records: tag and state.
inline __m128i FlowTable::lower_halves(const Bucket& bucket, unsigned first) {
  const auto* const words = reinterpret_cast<const float*>(&bucket);
  return _mm_castps_si128(
      _mm_shuffle_ps(_mm_load_ps(words + 2 * first), _mm_load_ps(words + 2 * first + 4), _MM_SHUFFLE(2, 0, 2, 0)));
}

inline FlowTable::Found FlowTable::Finder::find_established(std::uint64_t key) const {
  Bucket& bucket = this->bucket(key);
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(static_cast<std::uint32_t>(tag_bits(key) | kEstablished)));
  // Two bits a record.
  const auto equal = static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi32(
      _mm_cmpeq_epi32(lower_halves(bucket, 0), wanted), _mm_cmpeq_epi32(lower_halves(bucket, 4), wanted))));
  if (equal == 0) [[unlikely]]
    return {};
  auto* const entry = reinterpret_cast<Entry*>(reinterpret_cast<std::byte*>(&bucket) +
                                               sizeof(Entry) / 2 * static_cast<unsigned>(std::countr_zero(equal)));
  return {.place = entry, .word = entry->load(std::memory_order_relaxed)};
}
#else
inline FlowTable::Found FlowTable::Finder::find_established(std::uint64_t key) const {
  for (Entry& entry : bucket(key).entries) {
    const std::uint64_t word = entry.load(std::memory_order_relaxed);
    if (static_cast<std::uint32_t>(word) == (tag_bits(key) | kEstablished)) return {.place = &entry, .word = word};
  }
  return {};
}
#endif

}  // namespace anypop::l4lb
