// SPDX-License-Identifier: Apache-2.0
// The rule as timelines of one slot: at each step the owner, who lives, and what is to be remembered.
#include "slot_history.h"

#include <gtest/gtest.h>

namespace anypop::l4lb {
namespace {

constexpr std::uint32_t kWindow = 100;

class OneSlot : public testing::Test {
 protected:
  // Backends A, B, C own slot 0 in turn; the other slots never change. Returns who was there before: 'A' to 'C', '-':
  // no window, '?': somebody unknown.
  char change(std::uint32_t now, char owner, std::string_view alive = "ABC") {
    std::vector<std::uint16_t> is(5, 2);
    is[0] = static_cast<std::uint16_t>(owner - 'A');
    std::vector<bool> lives;
    for (const char backend : std::string_view("ABC")) lives.push_back(alive.find(backend) != alive.npos);
    history_ = next_history(history_.get(), {.was = was_, .is = is, .lives = lives, .now = now, .window = kWindow});
    was_ = is;
    if (history_ == nullptr) return '-';
    EXPECT_EQ(history_->previous[1], kNoWindow);
    const std::uint16_t previous = history_->previous[0];
    return previous == kNoPrevious ? '?' : static_cast<char>('A' + previous);
  }

  std::vector<std::uint16_t> was_;
  std::shared_ptr<const SlotHistory> history_;
};

TEST_F(OneSlot, TheOldOwnerIsRememberedForAWindow) {
  EXPECT_EQ(change(0, 'A'), '-') << "the first owner has no previous one";
  EXPECT_EQ(change(10, 'B'), 'A');
  EXPECT_EQ(history_->next_end, 10 + kWindow);
  EXPECT_EQ(change(109, 'B'), 'A');
  EXPECT_EQ(change(110, 'B'), '-');
}

TEST_F(OneSlot, TheOldestStaysAndTheWindowBeginsAnew) {
  change(0, 'A');
  change(10, 'B');
  EXPECT_EQ(change(60, 'C'), 'A');
  EXPECT_EQ(change(150, 'C'), 'A') << "60 + 100 is not over";
  EXPECT_EQ(change(155, 'A'), 'A') << "it owns the slot again; the others' flows have records";
  EXPECT_EQ(change(255, 'A'), '-');
}

TEST_F(OneSlot, ADeadPreviousOwnerIsForgotten) {
  change(0, 'A');
  EXPECT_EQ(change(10, 'B', "BC"), '-') << "it is the reason of the change";
  change(20, 'C');
  EXPECT_EQ(change(30, 'C', "AC"), '-');
  EXPECT_EQ(change(40, 'A'), 'C') << "a window of its own";
  EXPECT_EQ(change(50, 'B', "AB"), 'A') << "and again";
}

TEST_F(OneSlot, AnEndBeyondAWindowWasSetByAnotherClock) {
  change(1'000'000, 'A');
  change(1'000'000, 'B');
  EXPECT_EQ(change(5, 'B'), 'A');
  EXPECT_EQ(history_->next_end, 5 + kWindow);
}

TEST(SlotHistories, AllDeadIsNoHistory) {
  const std::vector<std::uint16_t> was(7, 0);
  EXPECT_EQ(next_history(nullptr, {.was = was, .is = {}, .lives = {false}, .now = 1, .window = kWindow}), nullptr);
  EXPECT_EQ(next_history(nullptr, {.was = {}, .is = was, .lives = {true}, .now = 1, .window = kWindow}), nullptr);
}

TEST(SlotHistories, AnotherNumberOfSlotsOpensAllOfTheOld) {
  const std::vector<std::uint16_t> was{0, 1, 0, 1, 1};
  const std::vector<std::uint16_t> is{0, 1, 0, 1, 1, 0, 0};
  const auto resized =
      next_history(nullptr, {.was = was, .is = is, .lives = {true, true}, .now = 1, .window = kWindow});
  EXPECT_EQ(resized->previous, was);
  // While these windows are open, any change makes all of them begin anew.
  const std::vector<std::uint16_t> next(7, 0);
  const auto after =
      next_history(resized.get(), {.was = is, .is = next, .lives = {true, false}, .now = 50, .window = kWindow});
  EXPECT_EQ(after->previous, (std::vector<std::uint16_t>{0, kNoPrevious, 0, kNoPrevious, kNoPrevious}));
  EXPECT_EQ(after->next_end, 150);
  EXPECT_EQ(next_history(after.get(), {.was = next, .is = next, .lives = {true, true}, .now = 150, .window = kWindow}),
            nullptr);
}

TEST(SlotHistories, OwnersGetNewNumbers) {
  EXPECT_EQ(renumber(std::vector<std::uint16_t>{0, 1, 2, kNoWindow}, std::vector<std::uint16_t>{1, kNoPrevious, 0}),
            (std::vector<std::uint16_t>{1, kNoPrevious, 0, kNoWindow}));
}

}  // namespace
}  // namespace anypop::l4lb
