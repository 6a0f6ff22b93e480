// SPDX-License-Identifier: Apache-2.0
#include "l4lb/fragment_table.h"

#include <algorithm>
#include <bit>

namespace anypop::l4lb {

FragmentTable::FragmentTable(std::uint32_t records) : buckets_(std::bit_ceil(std::max(records / 4U, 1U))) {}

void FragmentTable::insert(std::uint64_t key, const FragmentRecord& record, std::uint32_t now_ms) {
  auto& entries = buckets_[home(key)].entries;
  auto place = std::ranges::find_if(
      entries, [&](const Entry& entry) { return ((entry.key_and_protocol ^ key) & kKeyBits) == 0; });
  if (place == entries.end()) place = std::ranges::find(entries, 0, &Entry::key_and_protocol);
  if (place == entries.end()) {
    place = std::ranges::max_element(entries, {}, [&](const Entry& entry) { return now_ms - entry.seen_ms; });
  }
  *place = {.key_and_protocol = (key & kKeyBits) | static_cast<std::uint8_t>(record.protocol),
            .seen_ms = now_ms,
            .source_port = record.source_port,
            .destination_port = record.destination_port};
}

std::optional<FragmentRecord> FragmentTable::find(std::uint64_t key, std::uint32_t now_ms) const {
  for (const Entry& entry : buckets_[home(key)].entries) {
    if (entry.key_and_protocol == 0 || ((entry.key_and_protocol ^ key) & kKeyBits) != 0) continue;
    if (now_ms - entry.seen_ms > kTimeoutMs) return std::nullopt;
    return FragmentRecord{entry.source_port, entry.destination_port,
                          static_cast<wire::IpProtocol>(entry.key_and_protocol & 0xffU)};
  }
  return std::nullopt;
}

}  // namespace anypop::l4lb
