// SPDX-License-Identifier: Apache-2.0
// Holds: an operator's orders, which outrank health. One small file an announcement, in state_dir/holds, so that they
// survive every restart and bgpctl can place them with every other process dead.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

#include "base/config.h"
#include "bgpctl/level.h"

namespace anypop::bgpctl {

// Keep it out; keep it in whatever health says; keep it de-preferred, and out when health says so.
enum class HoldKind { kWithdraw, kAnnounce, kDrain };
std::string_view hold_kind_name(HoldKind kind);  // "withdraw", "announce", "drain"
std::optional<HoldKind> parse_hold_kind(std::string_view name);
// Above this, nobody may bring an announcement while the hold stands.
Level highest_level(HoldKind kind);

struct Hold {
  HoldKind kind = HoldKind::kWithdraw;
  std::string reason;
  std::string who;  // login name of the operator
  std::int64_t placed_unix_ms = 0;
  std::optional<std::int64_t> expires_unix_ms;  // nullopt: until released
  friend bool operator==(const Hold&, const Hold&) = default;
};

// {"kind", "reason", "who", "placed_unix_ms", "expires_unix_ms"}: the last one null without an end.
boost::json::object hold_json(const Hold& hold);

// A reason is one line of at most 500 bytes without control characters, and not empty: it is shown on terminals, to
// whoever finds the hold at night.
absl::Status check_reason(std::string_view reason);

// A hold's fate beneath another one. What the machine orders (the lease, when the monitor is lost) does not end what an
// operator ordered: that waits beneath it, and comes back when the machine's is released.
enum class Beneath { kKeep, kDrop };

// The holds in force at `now_unix_ms`, by announcement. A hold file that cannot be read or parsed is an error that
// names the file: an order that we cannot read must not be taken for no order. One that has expired, also beneath
// another, is removed for good by whoever finds it so, if they may: a clock that steps back does not revive it.
absl::StatusOr<std::map<std::string, Hold>> load_holds(const PopConfig& config, std::int64_t now_unix_ms);
// The same for one announcement, so that one bad file does not stop the others. NotFound: no such announcement.
absl::StatusOr<std::optional<Hold>> load_hold(const PopConfig& config, std::string_view announcement,
                                              std::int64_t now_unix_ms);
// Replaces the hold that is there. kDrop: and forgets what waits beneath it.
absl::Status place_hold(const PopConfig& config, std::string_view announcement, const Hold& hold,
                        Beneath beneath = Beneath::kDrop);
// The hold that is there waits beneath this one.
absl::Status place_hold_above(const PopConfig& config, std::string_view announcement, const Hold& hold);
// OK if there was none. kKeep: what waits beneath it is in force again.
absl::Status release_hold(const PopConfig& config, std::string_view announcement, Beneath beneath = Beneath::kKeep);

}  // namespace anypop::bgpctl
