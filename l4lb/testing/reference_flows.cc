// SPDX-License-Identifier: Apache-2.0
#include "l4lb_testing/reference_flows.h"

#include <algorithm>

namespace anypop::l4lb_testing {
namespace {

// Both clocks count in units of 1024 ms; the packets' one wraps.
std::uint32_t units_between(std::uint32_t from_ms, std::uint32_t to_ms) {
  return (to_ms / 1024 + (1U << 22U) - from_ms / 1024) % (1U << 22U);
}

}  // namespace

void ReferenceFlows::change(const std::vector<std::string>& owners, const std::set<std::string>& living, bool idle,
                            std::uint64_t now_ms, unsigned window_ms) {
  const std::uint64_t now = now_ms / 1024;
  const std::uint64_t until = now + (window_ms + 1023) / 1024 + 1;
  if (!idle) {
    used_owners_ = owners_;
    used_windows_ = windows_;
    used_until_ = now;
  } else if (until - now <= now - used_until_) {
    used_owners_.clear();
    used_windows_.clear();
  }
  windows_ = used_windows_;
  std::erase_if(windows_, [&](const auto& window) {
    return window.second.until <= now || !living.contains(window.second.previous);
  });
  for (std::size_t slot = 0; slot < used_owners_.size(); ++slot) {
    const std::string is = owners.empty() ? "" : owners[slot];
    if (used_owners_[slot] == is) continue;
    if (!windows_.contains(slot) && living.contains(used_owners_[slot])) windows_[slot] = {used_owners_[slot], 0};
    if (windows_.contains(slot)) windows_[slot].until = until;
  }
  owners_ = owners;
  living_ = living;
}

ReferenceFlows::Record* ReferenceFlows::find(const Packet& packet) {
  const auto record = records_.find(packet.flow);
  if (record == records_.end()) return nullptr;
  if (units_between(record->second.seen_ms, packet.now_ms) > record->second.idle_ms / 1024 + 1) return nullptr;
  return &record->second;
}

std::uint32_t ReferenceFlows::idle_of(const Record& record, const Packet& packet) {
  std::uint32_t idle_ms = packet.idle_ms;
  if (record.half_open) idle_ms = std::min(idle_ms, std::uint32_t{30'000});
  if (record.closing || packet.resets) idle_ms = std::min(idle_ms, std::uint32_t{120'000});
  return idle_ms;
}

ReferenceFlows::Choice ReferenceFlows::choose(const Packet& packet, Track track) {
  const std::string& owner = owners_.at(packet.slot);
  if (track == Track::kNever) return {owner, By::kSlot};
  const auto window = windows_.find(packet.slot);
  const bool records = !packet.follows && (window != windows_.end() || track == Track::kAlways);
  Record* record = find(packet);
  const bool over = record != nullptr && record->closing && packet.opens;
  if (record != nullptr && living_.contains(record->backend) && !over) {
    const Choice choice{record->backend, By::kRecord};
    if (packet.follows) return choice;
    if (!records && record->backend == owner) {
      records_.erase(packet.flow);
    } else {
      record->half_open = record->half_open && (packet.opens || packet.resets);
      record->closing = record->closing || packet.closes;
      record->seen_ms = packet.now_ms;
      record->idle_ms = idle_of(*record, packet);
    }
    return choice;
  }
  if (record != nullptr && !packet.follows) records_.erase(packet.flow);
  const bool stays = window != windows_.end() && !packet.opens;
  const Choice choice = stays ? Choice{window->second.previous, By::kPreviousOwner} : Choice{owner, By::kSlot};
  if (!records || packet.resets) return choice;
  Record made{.backend = choice.backend, .half_open = packet.opens, .closing = packet.closes, .seen_ms = packet.now_ms};
  made.idle_ms = idle_of(made, packet);
  records_[packet.flow] = made;
  return choice;
}

}  // namespace anypop::l4lb_testing
