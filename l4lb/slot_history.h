// SPDX-License-Identifier: Apache-2.0
// Which slots of a service changed their owner of late, and who had them before: all that is needed so that a change
// moves no flow. A flow that is silent finds its backend again by the slot's previous owner; one that speaks while the
// window is open gets a record of its own. Where nothing has changed there is nothing to look up.
//
// The rule, for each slot, when its owner changes:
//   no window is open   → the old owner, if it lives, is remembered as the previous one, and a window opens
//   a window is open    → the previous owner stays: the oldest one. Younger flows have records. The window begins anew
// and when the previous owner dies, the window closes: whoever was on the later owners has a record or is on the owner.
//
// When the number of slots changes, the history keeps the old number, and every slot of it has a window. From then on
// until the last window has closed, any change makes all of them begin anew.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace anypop::l4lb {

// In a history: no window is open; or it is, but the previous owner does not live.
inline constexpr std::uint16_t kNoWindow = 0xffff;
inline constexpr std::uint16_t kNoPrevious = 0xfffe;

struct SlotHistory {
  // Backend within the service, kNoWindow or kNoPrevious; as many as the service had slots when the first window
  // opened.
  std::vector<std::uint16_t> previous;
  std::vector<std::uint32_t> until;  // of each slot with a window, in units of 1024 ms
  std::uint32_t next_end = 0;        // the first window that closes
};

// What happens to the slots of a service.
struct SlotChange {
  std::span<const std::uint16_t> was;  // owners before: backends within the service, kNoPrevious for one that is gone;
  std::span<const std::uint16_t> is;   // and now. Empty: none
  const std::vector<bool>& lives;      // by backend within the service
  std::uint32_t now = 0;               // in units of 1024 ms
  std::uint32_t window = 0;            // in the same
};

// The history after the change; nullptr: no window is open. `before` may be nullptr; its owners must be numbered as
// those of `change`. Cost: a pass over the slots.
std::shared_ptr<const SlotHistory> next_history(const SlotHistory* before, const SlotChange& change);

// `owners` with new numbers: to[old] is the new one, or kNoPrevious. What is not below to.size() stays.
std::vector<std::uint16_t> renumber(std::span<const std::uint16_t> owners, std::span<const std::uint16_t> to);

}  // namespace anypop::l4lb
