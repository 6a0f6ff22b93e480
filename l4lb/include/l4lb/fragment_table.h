// SPDX-License-Identifier: Apache-2.0
// The ports of fragmented packets, for the fragments that have none. Bounded: a bucket of four records is one cache
// line, and the oldest gives way. Nothing is put together here, so overlapping fragments can do no harm; the newest
// first fragment of a key wins, because identifications are used again. Whoever floods the table makes fragments
// homeless that arrive much later than their first one; nobody can aim at somebody else's, because keys are keyed
// hashes.
//
// One writer, the worker. Other threads may call find() at any time: a record is two atomic words, and one that is
// being replaced is not found.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "l4lb/wire.h"

namespace anypop::l4lb {

struct FragmentRecord {
  wire::be16 source_port;
  wire::be16 destination_port;
  wire::IpProtocol protocol;  // never 0
};

class FragmentTable {
 public:
  // Fragments of a packet leave their sender together. A host would wait for a minute (RFC 8200 section 4.5), but that
  // is longer than identifications last.
  static constexpr std::uint32_t kTimeoutMs = 5000;

  // At least `records` of them, 16 bytes each.
  explicit FragmentTable(std::uint32_t records);

  // `key`: a hash; the lowest 8 bits are not used. Times are milliseconds modulo 2^32. Readers' clocks, and the
  // writer's own, may differ: a record counts for the timeout in both directions.
  void insert(std::uint64_t key, const FragmentRecord& record, std::uint32_t now_ms);
  std::optional<FragmentRecord> find(std::uint64_t key, std::uint32_t now_ms) const;

 private:
  struct Entry {
    std::atomic<std::uint64_t> key_and_protocol{0};  // 0: never used, or being replaced
    std::atomic<std::uint64_t> rest{0};              // 32 bits when it was seen · source port · destination port
    std::uint32_t seen_ms() const { return static_cast<std::uint32_t>(rest.load(std::memory_order_relaxed) >> 32U); }
  };
  static constexpr std::uint64_t kKeyBits = ~std::uint64_t{0xff};
  struct alignas(64) Bucket {
    std::array<Entry, 4> entries;
  };
  static_assert(sizeof(Bucket) == 64);
  std::size_t home(std::uint64_t key) const { return (key >> 32U) & (buckets_.size() - 1); }

  std::vector<Bucket> buckets_;  // a power of two
};

}  // namespace anypop::l4lb
