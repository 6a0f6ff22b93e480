// SPDX-License-Identifier: Apache-2.0
#include "slot_history.h"

#include <algorithm>
#include <limits>

namespace anypop::l4lb {
namespace {

bool living(std::uint16_t backend, const std::vector<bool>& lives) { return backend < lives.size() && lives[backend]; }

// One slot of a history: its window, as the rule leaves it.
struct Slot {
  std::uint16_t previous;
  std::uint32_t until;
};

// An end that is further away than a window is long was set by another clock.
Slot close_if_over(Slot slot, const SlotChange& change) {
  if (slot.previous != kNoWindow && slot.until <= change.now) slot.previous = kNoWindow;
  slot.until = std::min(slot.until, change.now + change.window);
  return slot;
}

Slot next(Slot slot, std::uint16_t was, std::uint16_t is, const SlotChange& change) {
  if (slot.previous != kNoWindow && !living(slot.previous, change.lives)) slot.previous = kNoWindow;
  if (was == is) return slot;
  if (slot.previous == kNoWindow && living(was, change.lives)) slot.previous = was;
  slot.until = change.now + change.window;
  return slot;
}

// A slot of a history whose slots are no longer those of the table.
Slot next_of_other_size(Slot slot, bool changed, const SlotChange& change) {
  if (slot.previous == kNoWindow) return slot;
  if (!living(slot.previous, change.lives)) slot.previous = kNoPrevious;
  if (changed) slot.until = change.now + change.window;
  return slot;
}

SlotHistory start_history(const SlotHistory* before, const SlotChange& change) {
  if (before != nullptr) return *before;
  const std::size_t size = change.was.size();
  return {.previous = std::vector<std::uint16_t>(size, kNoWindow), .until = std::vector<std::uint32_t>(size)};
}

// The table gets another size: whoever owns a slot becomes its previous owner, unless there is an older one.
Slot resized(Slot slot, std::uint16_t was, const SlotChange& change) {
  if (slot.previous == kNoWindow || !living(slot.previous, change.lives)) {
    slot.previous = living(was, change.lives) ? was : kNoPrevious;
  }
  slot.until = change.now + change.window;
  return slot;
}

// How the numbers of slots go together.
enum class Sizes : std::uint8_t { kSame, kResized, kOther };

Sizes sizes_of(const SlotHistory& history, const SlotChange& change) {
  const bool as_before = history.previous.size() == change.was.size();
  const bool as_now = history.previous.size() == change.is.size();
  if (as_before && (as_now || change.is.empty())) return Sizes::kSame;
  return as_before ? Sizes::kResized : Sizes::kOther;
}

template <Sizes sizes>
Slot after_change(Slot slot, std::size_t s, bool changed, const SlotChange& change) {
  slot = close_if_over(slot, change);
  if constexpr (sizes == Sizes::kOther) return next_of_other_size(slot, changed, change);
  if constexpr (sizes == Sizes::kResized) return resized(slot, change.was[s], change);
  return next(slot, change.was[s], change.is.empty() ? kNoPrevious : change.is[s], change);
}

// Is any window open?
template <Sizes sizes>
bool apply(const SlotChange& change, SlotHistory& history) {
  const bool changed = !std::ranges::equal(change.was, change.is);
  bool open = false;
  history.next_end = std::numeric_limits<std::uint32_t>::max();
  for (std::size_t s = 0; s < history.previous.size(); ++s) {
    const Slot slot = after_change<sizes>({history.previous[s], history.until[s]}, s, changed, change);
    history.previous[s] = slot.previous;
    history.until[s] = slot.until;
    if (slot.previous == kNoWindow) continue;
    open = true;
    history.next_end = std::min(history.next_end, slot.until);
  }
  return open;
}

}  // namespace

std::shared_ptr<const SlotHistory> next_history(const SlotHistory* before, const SlotChange& change) {
  if (before == nullptr && change.was.empty()) return nullptr;
  const auto history = std::make_shared<SlotHistory>(start_history(before, change));
  bool open = false;
  switch (sizes_of(*history, change)) {
    case Sizes::kSame: open = apply<Sizes::kSame>(change, *history); break;
    case Sizes::kResized: open = apply<Sizes::kResized>(change, *history); break;
    case Sizes::kOther: open = apply<Sizes::kOther>(change, *history); break;
  }
  return open ? history : nullptr;
}

std::vector<std::uint16_t> renumber(std::span<const std::uint16_t> owners, std::span<const std::uint16_t> to) {
  std::vector<std::uint16_t> result(owners.begin(), owners.end());
  for (std::uint16_t& owner : result) {
    if (owner < to.size()) owner = to[owner];
  }
  return result;
}

}  // namespace anypop::l4lb
