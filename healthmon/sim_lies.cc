// SPDX-License-Identifier: Apache-2.0
// What the monitor reads of its world and what becomes of its orders: the truth, unless a test wants a lie.
#include "sim_world.h"

namespace anypop::healthmon::sim {

absl::StatusOr<dataplane_api::Heartbeat> World::heard_heartbeat() {
  const auto beat = dataplane_.heartbeat();
  const bool good = beat.ok() && beat->workers[0].age_ms == 0;
  if (good) last_heartbeat_ = *beat;
  return !good && lie_ == Lie::kDataplaneNeverDies && last_heartbeat_ ? *last_heartbeat_ : beat;
}

absl::StatusOr<dataplane_api::State> World::heard_state() {
  const auto state = dataplane_.state();
  if (state.ok()) last_state_ = *state;
  return !state.ok() && lie_ == Lie::kDataplaneNeverDies && last_state_ ? *last_state_ : state;
}

Holds World::heard_holds(std::int64_t now_ms) {
  Holds found = orders_.read_holds(now_ms);
  if (first_holds_.empty()) first_holds_ = found;
  last_holds_.resize(found.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (!found[i].ok()) continue;
    std::optional<bgpctl::Hold>& hold = *found[i];
    if (hold) last_holds_[i] = hold;
    const bool at_start = first_holds_[i].ok() && hold == *first_holds_[i];
    if (lie_ == Lie::kHoldsAreForgottenAtAStart && at_start) hold.reset();
    if (lie_ == Lie::kDrainHoldsAreUnknown && hold && hold->kind == bgpctl::HoldKind::kDrain) hold.reset();
    if (lie_ == Lie::kHoldsComeBack && !hold && last_holds_[i] && last_holds_[i]->expires_unix_ms > now_ms) {
      hold = last_holds_[i];
    }
  }
  return found;
}

absl::StatusOr<bgpctl::BirdView> World::seen_in_bird() {
  if (lie_ != Lie::kBirdKeepsEveryOrder) return bird_.look();
  obedient_.process = bird_.process;
  obedient_.sessions_up = bird_.sessions_up;
  obedient_.others = bird_.others;
  return obedient_.look();
}

bool World::is_lost(Level level) const {
  return level == Level::kWithdrawn ? lie_ == Lie::kWithdrawalsAreLost : lie_ == Lie::kAnnouncementsAreLost;
}

}  // namespace anypop::healthmon::sim
