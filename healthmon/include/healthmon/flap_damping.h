// SPDX-License-Identifier: Apache-2.0
// Route flap damping (RFC 2439), turned on ourselves, so that nobody else has to: each fall of an announcement adds to
// a penalty that halves in every half-life. The hold-down doubles with it; at latch_penalty the announcement is
// latched, which is what RFC 2439 calls suppressed. Values; pure; O(1).
//
//   withdrawn by health   1000      the routers saw a withdrawal
//   drained by health      500      they saw other attributes
//   by a hold                0      a person knows what he does
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "base/config.h"
#include "bgpctl/level.h"
#include "healthmon/time.h"

namespace anypop::healthmon {

inline constexpr double kWithdrawalPenalty = 1000;  // RFC 2439's unit, and that of the routers
inline constexpr double kDrainPenalty = 500;

// What must survive a restart of the monitor, else one that crashes and returns would announce without patience.
struct Damping {
  double penalty = 0;         // at `updated`; decays since
  SteadyTime updated;         // last flap
  std::uint64_t flaps = 0;    // since somebody last forgave them
  bool latched = false;       // stays down although health is good
  bool lost = false;          // health took a level away that has not come back: a hold-down is due
  Milliseconds hold_down{0};  // how long health must be good before that level comes back
  friend bool operator==(const Damping&, const Damping&) = default;
};

// The penalty left at `now`.
double penalty_at(const FlapConfig& flaps, const Damping& damping, SteadyTime now);
// hold_down_ms, doubled for each whole penalty of a withdrawal beyond the first, at most flaps.hold_down_max_ms.
Milliseconds hold_down_for(const AnnouncementConfig& announcement, double penalty);
// The announcement fell to `level`. Adds its penalty, and latches.
void add_flap(const AnnouncementConfig& announcement, bgpctl::Level level, SteadyTime now, Damping& damping);
// When a latched announcement is free again by decay alone; nullopt: only by a person.
std::optional<SteadyTime> unlatched_at(const FlapConfig& flaps, const Damping& damping);

// As one line of JSON, for a file. `boot_id` names the boot of the machine: while it is the same, the monotonic clock
// tells how old a record is, and steps of the wall clock do not matter.
std::string damping_text(const Damping& damping, Now now, std::string_view boot_id);
// The same at a later start. A wall clock that went back counts as no time. InvalidArgument: found …, expected ….
absl::StatusOr<Damping> parse_damping(std::string_view text, Now now, std::string_view boot_id);

}  // namespace anypop::healthmon
