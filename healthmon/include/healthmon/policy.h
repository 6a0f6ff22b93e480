// SPDX-License-Identifier: Apache-2.0
// Does this PoP deserve an announcement's traffic? One pure function from what is known to a level and its reason.
// O(services of the announcement x backends).
//
// In order, the first that applies decides:
//   1. a withdraw hold: out;
//   2. before the first full round of probes: nothing is announced that was not, and what was announced stays, unless a
//      condition is bad whatever the missing answers will be;
//   3. an announce hold: in. A canary: in;
//   4. the conditions. Out at once: the dataplane stands still or has no port with a link, too few BGP sessions, too
//   few
//      services with min_healthy_percent of their weight in backends that are healthy and have a next hop. Drained at
//      once: the same with drain_below_percent;
//   5. a level that was lost comes back when it has been deserved for the hold-down without interruption, by
//      return_margin_percent more than its limit, and never while latched (flap_damping.h). What the routers have
//      already, by a hold, needs no hold-down, nor does the first announcement of a PoP's life;
//   6. keep_last: what rule 4 would take out is drained instead, until BIRD knows somebody who announces it undrained.
//      All see a drained route give way before anybody withdraws, so PoPs that fail together do not vanish together.
//
// Load is no input: how busy a PoP is, and what it drops for it, never withdraws it by itself.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <absl/types/span.h>

#include "base/config.h"
#include "bgpctl/holds.h"
#include "bgpctl/level.h"
#include "healthmon/flap_damping.h"
#include "healthmon/rise_fall.h"
#include "healthmon/time.h"

namespace anypop::healthmon {

struct BackendFacts {
  Health health = Health::kUnknown;
  bool resolved = false;  // the dataplane has a MAC to send to
};

struct DataplaneFacts {
  enum class Condition { kUnknown, kAlive, kDead };
  Condition condition = Condition::kUnknown;
  std::string cause;             // when dead
  bool restarting = false;       // alive, and about to be restarted, or being restarted
  bool next_hops_known = false;  // BackendFacts::resolved is what the dataplane said, not long ago
  std::string no_link;           // every port is without a link: which ones. Empty: one has it, or nobody knows
};

// What BIRD said about an announcement when it last answered.
struct RoutingFacts {
  std::optional<std::size_t> sessions;  // established ones, of the BIRDs that announce it
  std::optional<bool> others;           // somebody else announces each prefix of it, undrained
};

struct Facts {
  // Every backend has a verdict, the dataplane and BIRD have been asked, the holds have been read. Latched.
  bool first_round_done = false;
  std::string first_round_missing;  // what is waited for, in a few words
  DataplaneFacts dataplane;
  std::vector<std::vector<BackendFacts>> backends;  // [service][backend], as in PopConfig::services
  std::vector<RoutingFacts> routing;                // as in PopConfig::announcements
};

// A fault of the last announcer is believed so long before anybody else's route counts: his own drain must have had the
// time to reach us.
inline constexpr Milliseconds kLastAnnouncerWait{5000};

// What the policy remembers of an announcement between two decisions.
struct PolicyMemory {
  bgpctl::Level level = bgpctl::Level::kWithdrawn;   // decided last, at first the one found at start
  bgpctl::Level earned = bgpctl::Level::kWithdrawn;  // what health alone allows, after the hold-downs
  std::optional<SteadyTime> drained_since;           // the conditions have been good enough for this without a break
  std::optional<SteadyTime> announced_since;
  std::optional<SteadyTime> fault_since;
  Damping damping;
  friend bool operator==(const PolicyMemory&, const PolicyMemory&) = default;
};

struct Decision {
  bgpctl::Level level = bgpctl::Level::kWithdrawn;
  bool as_found = false;                               // rule 2: nothing is decided yet, touch nothing
  bool kept_last = false;                              // rule 6 keeps it
  std::string cause;                                   // one plain sentence
  bgpctl::Level deserved = bgpctl::Level::kWithdrawn;  // by the conditions alone, now
  std::string deserved_cause;                          // why, also when an order says otherwise
  // Until `deserved` brings the next level; 0: nothing to wait for, or nothing but a person.
  Milliseconds hold_down_remaining{0};
  PolicyMemory memory;  // for the next decision
  bool announced() const { return level != bgpctl::Level::kWithdrawn; }
};

// `index` is the announcement's in PopConfig.
Decision decide(const PopConfig& config, std::size_t index, const Facts& facts, const std::optional<bgpctl::Hold>& hold,
                const PolicyMemory& memory, SteadyTime now);

}  // namespace anypop::healthmon
