// SPDX-License-Identifier: Apache-2.0
#include "l4lb/fragment_table.h"

#include <algorithm>
#include <bit>

namespace anypop::l4lb {

FragmentTable::FragmentTable(std::uint32_t records) : buckets_(std::bit_ceil(std::max(records / 4U, 1U))) {}

void FragmentTable::insert(std::uint64_t key, const FragmentRecord& record, std::uint32_t now_ms) {
  auto& entries = buckets_[home(key)].entries;
  const auto key_of = [](const Entry& entry) { return entry.key_and_protocol.load(std::memory_order_relaxed); };
  auto place =
      std::ranges::find_if(entries, [&](const Entry& entry) { return ((key_of(entry) ^ key) & kKeyBits) == 0; });
  if (place == entries.end()) place = std::ranges::find(entries, std::uint64_t{0}, key_of);
  if (place == entries.end()) {
    place = std::ranges::max_element(entries, {}, [&](const Entry& entry) { return now_ms - entry.seen_ms(); });
  }
  // Whoever reads the new second word sees the first one gone, or new.
  place->key_and_protocol.store(0, std::memory_order_relaxed);
  place->rest.store(
      std::uint64_t{now_ms} << 32U | std::uint64_t{record.source_port.host()} << 16U | record.destination_port.host(),
      std::memory_order_release);
  place->key_and_protocol.store((key & kKeyBits) | static_cast<std::uint8_t>(record.protocol),
                                std::memory_order_release);
}

std::optional<FragmentRecord> FragmentTable::find(std::uint64_t key, std::uint32_t now_ms) const {
  for (const Entry& entry : buckets_[home(key)].entries) {
    const std::uint64_t first = entry.key_and_protocol.load(std::memory_order_acquire);
    if (first == 0 || ((first ^ key) & kKeyBits) != 0) continue;
    const std::uint64_t rest = entry.rest.load(std::memory_order_acquire);
    if (entry.key_and_protocol.load(std::memory_order_relaxed) != first) return std::nullopt;
    // The reader's clock may be behind the writer's, so both directions count.
    const std::uint32_t later_ms = now_ms - static_cast<std::uint32_t>(rest >> 32U);
    if (later_ms + kTimeoutMs > 2 * kTimeoutMs) return std::nullopt;
    return FragmentRecord{wire::be16(static_cast<std::uint16_t>(rest >> 16U)),
                          wire::be16(static_cast<std::uint16_t>(rest)), static_cast<wire::IpProtocol>(first & 0xffU)};
  }
  return std::nullopt;
}

}  // namespace anypop::l4lb
