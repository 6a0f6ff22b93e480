// SPDX-License-Identifier: Apache-2.0
// Does this PoP deserve an announcement's traffic? One pure function from what is known to a level and its reason.
// O(services of the announcement x backends).
//
// In order, the first that applies decides:
//   1. a withdraw hold: out;
//   2. before the first full round of probes: nothing is announced that was not, and what was announced stays, unless a
//      condition is bad whatever the missing answers will be;
//   3. an announce hold: in;
//   4. the conditions: the dataplane turns, and in every service the weight of the backends that are healthy and have
//      a next hop is at least min_healthy_percent. Bad: out, at once;
//   5. good again after a fault: out until they have been good for hold_down_ms without interruption. The first
//      announcement of a monitor's life needs no hold-down;
//   6. in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <absl/types/span.h>

#include "base/config.h"
#include "bgpctl/holds.h"
#include "bgpctl/level.h"
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
  bool next_hops_known = false;  // BackendFacts::resolved is what the dataplane said, not long ago
};

struct Facts {
  // Every backend has a verdict, the dataplane and BIRD have been asked, the holds have been read. Latched.
  bool first_round_done = false;
  std::string first_round_missing;  // what is waited for, in a few words
  DataplaneFacts dataplane;
  std::vector<std::vector<BackendFacts>> backends;  // [service][backend], as in PopConfig::services
};

// What the policy remembers of an announcement between two decisions.
struct PolicyMemory {
  bgpctl::Level level = bgpctl::Level::kWithdrawn;  // decided last, at first the one found at start
  bool hold_down_armed = false;          // the conditions have been bad since they were last good for long enough
  std::optional<SteadyTime> good_since;  // nullopt: bad now
  friend bool operator==(const PolicyMemory&, const PolicyMemory&) = default;
};

struct Decision {
  bgpctl::Level level = bgpctl::Level::kWithdrawn;
  bool as_found = false;  // rule 2: nothing is decided yet, touch nothing
  std::string cause;      // one plain sentence
  Milliseconds hold_down_remaining{0};
  PolicyMemory memory;  // for the next decision
  bool announced() const { return level != bgpctl::Level::kWithdrawn; }
};

Decision decide(const PopConfig& config, const AnnouncementConfig& announcement, const Facts& facts,
                const std::optional<bgpctl::Hold>& hold, const PolicyMemory& memory, SteadyTime now);

}  // namespace anypop::healthmon
