// SPDX-License-Identifier: Apache-2.0
#include "healthmon/flap_damping.h"

#include <algorithm>
#include <cmath>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

// No file can make the arithmetic overflow, nor keep an announcement out for longer than a flapping one would be.
constexpr double kPenaltyMax = 1e6;
constexpr std::int64_t kHoldDownMaxMs = 86'400'000;
constexpr double kDoublingsMax = 30;

double decayed(const FlapConfig& flaps, double penalty, SteadyTime::duration elapsed) {
  const double half_lives = std::chrono::duration<double>(elapsed).count() / flaps.half_life_s;
  return half_lives <= 0 ? penalty : penalty * std::exp2(-half_lives);
}

std::int64_t steady_ms(SteadyTime at) {
  return std::chrono::duration_cast<Milliseconds>(at.time_since_epoch()).count();
}

bool read(const json::object& from, const char* key, std::int64_t least, std::int64_t most, std::int64_t& out) {
  const json::value* value = from.if_contains(key);
  if (value == nullptr || !value->is_int64()) return false;
  out = value->get_int64();
  return out >= least && out <= most;
}

}  // namespace

double penalty_at(const FlapConfig& flaps, const Damping& damping, SteadyTime now) {
  return decayed(flaps, damping.penalty, now - damping.updated);
}

Milliseconds hold_down_for(const AnnouncementConfig& announcement, double penalty) {
  const double doublings = std::clamp(std::round(penalty / kWithdrawalPenalty) - 1, 0.0, kDoublingsMax);
  const double longest = std::max(announcement.hold_down_ms, announcement.flaps.hold_down_max_ms);
  return Milliseconds(static_cast<std::int64_t>(std::min(announcement.hold_down_ms * std::exp2(doublings), longest)));
}

void add_flap(const AnnouncementConfig& announcement, bgpctl::Level level, SteadyTime now, Damping& damping) {
  const double more = level == bgpctl::Level::kWithdrawn ? kWithdrawalPenalty : kDrainPenalty;
  damping.penalty = std::min(penalty_at(announcement.flaps, damping, now) + more, kPenaltyMax);
  damping.updated = now;
  ++damping.flaps;
  damping.hold_down = hold_down_for(announcement, damping.penalty);
  const unsigned limit = announcement.flaps.latch_penalty;
  if (limit != 0 && damping.penalty >= limit) damping.latched = true;
}

std::optional<SteadyTime> unlatched_at(const FlapConfig& flaps, const Damping& damping) {
  if (flaps.reuse_penalty == 0) return std::nullopt;
  if (damping.penalty <= flaps.reuse_penalty) return damping.updated;
  const double half_lives = std::log2(damping.penalty / flaps.reuse_penalty);
  return damping.updated +
         std::chrono::ceil<Milliseconds>(std::chrono::duration<double>(half_lives * flaps.half_life_s));
}

std::string damping_text(const Damping& damping, Now now, std::string_view boot_id) {
  const auto age_ms = std::chrono::floor<Milliseconds>(now.steady - damping.updated).count();
  const json::object object{{"penalty_milli", static_cast<std::int64_t>(std::llround(damping.penalty * 1000))},
                            {"flaps", static_cast<std::int64_t>(damping.flaps)},
                            {"latched", damping.latched},
                            {"lost", damping.lost},
                            {"hold_down_ms", damping.hold_down.count()},
                            {"updated_unix_ms", now.unix_ms - age_ms},
                            {"updated_steady_ms", steady_ms(damping.updated)},
                            {"boot_id", json::string(boot_id.data(), boot_id.size())}};
  return json::serialize(object) + "\n";
}

absl::StatusOr<Damping> parse_damping(std::string_view text, Now now, std::string_view boot_id) {
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) return invalid_argument("found no JSON object, expected one as the monitor writes it");
  constexpr std::int64_t kAny = std::int64_t{1} << 60;
  std::int64_t penalty_milli = 0;
  std::int64_t flaps = 0;
  std::int64_t hold_down_ms = 0;
  std::int64_t unix_ms = 0;
  std::int64_t at_ms = 0;
  const json::value* latched = object->if_contains("latched");
  const json::value* lost = object->if_contains("lost");
  const json::value* boot = object->if_contains("boot_id");
  const bool whole = read(*object, "penalty_milli", 0, static_cast<std::int64_t>(kPenaltyMax * 1000), penalty_milli) &&
                     read(*object, "flaps", 0, kAny, flaps) &&
                     read(*object, "hold_down_ms", 0, kHoldDownMaxMs, hold_down_ms) &&
                     read(*object, "updated_unix_ms", -kAny, kAny, unix_ms) &&
                     read(*object, "updated_steady_ms", -kAny, kAny, at_ms) && latched != nullptr &&
                     latched->is_bool() && lost != nullptr && lost->is_bool() && boot != nullptr && boot->is_string();
  if (!whole)
    return invalid_argument("found a key missing or out of range, expected a record as the monitor writes it");
  const std::string_view booted(boot->get_string().data(), boot->get_string().size());
  const std::int64_t age_ms = booted == boot_id ? steady_ms(now.steady) - at_ms : now.unix_ms - unix_ms;
  // What is older than a steady clock can say has decayed all the same.
  const std::int64_t bounded_ms = std::clamp(age_ms, std::int64_t{0}, steady_ms(now.steady) + 400 * kHoldDownMaxMs);
  return Damping{.penalty = static_cast<double>(penalty_milli) / 1000,
                 .updated = now.steady - Milliseconds(bounded_ms),
                 .flaps = static_cast<std::uint64_t>(flaps),
                 .latched = latched->get_bool(),
                 .lost = lost->get_bool(),
                 .hold_down = Milliseconds(hold_down_ms)};
}

}  // namespace anypop::healthmon
