// SPDX-License-Identifier: Apache-2.0
#include "healthmon/policy.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "conditions.h"

namespace anypop::healthmon {
namespace {

using bgpctl::Level;

void keep_time(bool good, SteadyTime now, std::optional<SteadyTime>& since) {
  if (!good) since.reset();
  if (good && !since) since = now;
}

void note_times(Level deserved, SteadyTime now, PolicyMemory& memory) {
  keep_time(deserved >= Level::kDrained, now, memory.drained_since);
  keep_time(deserved >= Level::kAnnounced, now, memory.announced_since);
  keep_time(deserved == Level::kWithdrawn, now, memory.fault_since);
}

void lose(const AnnouncementConfig& announcement, Level deserved, SteadyTime now, PolicyMemory& memory) {
  Damping& damping = memory.damping;
  memory.earned = std::min(deserved, std::max(memory.earned, memory.level));
  // What is lost anew before it was back waits no shorter than before.
  const Milliseconds hold_down = hold_down_for(announcement, penalty_at(announcement.flaps, damping, now));
  damping.hold_down = damping.lost ? std::max(damping.hold_down, hold_down) : hold_down;
  damping.lost = true;
}

const std::optional<SteadyTime>& since(Level level, const PolicyMemory& memory) {
  return level == Level::kAnnounced ? memory.announced_since : memory.drained_since;
}

// How long until `level` has been deserved for the hold-down.
Milliseconds left_for(Level level, const PolicyMemory& memory, SteadyTime now) {
  const SteadyTime::duration good_for = now - since(level, memory).value_or(now);
  return std::max(Milliseconds(0), std::chrono::ceil<Milliseconds>(memory.damping.hold_down - good_for));
}

void rise(Level deserved, SteadyTime now, PolicyMemory& memory) {
  // What the routers have, and what is good, needs no patience. A person put it there, and thereby ended the latch.
  const Level there = std::min(deserved, memory.level);
  if (there > memory.earned) {
    memory.earned = there;
    if (there == Level::kAnnounced) memory.damping.latched = false;
  }
  if (!memory.damping.lost) memory.earned = deserved;
  for (const Level level : {Level::kDrained, Level::kAnnounced}) {
    if (memory.damping.latched || level <= memory.earned || level > deserved) continue;
    if (left_for(level, memory, now) == Milliseconds(0)) memory.earned = level;
  }
  if (memory.earned == Level::kAnnounced) memory.damping.lost = false;
}

void explain_wait(const AnnouncementConfig& announcement, SteadyTime now, Decision& decision) {
  const PolicyMemory& memory = decision.memory;
  const Level next = memory.earned == Level::kWithdrawn ? Level::kDrained : Level::kAnnounced;
  decision.hold_down_remaining = left_for(next, memory, now);
  const auto good_for = std::chrono::floor<Milliseconds>(now - since(next, memory).value_or(now));
  decision.cause =
      fmt::format("hold-down: healthy for {} of {} ms", good_for.count(), memory.damping.hold_down.count());
  if (!memory.damping.latched) return;
  const auto free_at = unlatched_at(announcement.flaps, memory.damping);
  decision.cause = fmt::format("latched after {} flaps; {}`bgpctl announce {}` ends it", memory.damping.flaps,
                               free_at ? "the penalty's decay or " : "", announcement.name);
  decision.hold_down_remaining =
      free_at ? std::max(decision.hold_down_remaining, std::chrono::ceil<Milliseconds>(*free_at - now))
              : Milliseconds(0);
}

// The level that health alone asks for after the first full round; keeps the books of the hold-down.
Decision health_decision(const AnnouncementConfig& announcement, const Assessment& found, const PolicyMemory& memory,
                         SteadyTime now) {
  Decision decision{.deserved = found.level, .deserved_cause = found.cause, .memory = memory};
  PolicyMemory& next = decision.memory;
  note_times(found.level, now, next);
  if (next.damping.latched) {
    const auto free_at = unlatched_at(announcement.flaps, next.damping);
    if (free_at && now >= *free_at) next.damping.latched = false;
  }
  const bool visible_loss = found.level < memory.level && !next.damping.lost;
  if (found.level < next.earned || visible_loss) {
    lose(announcement, found.level, now, next);
  } else if (found.level > next.earned) {
    rise(found.level, now, next);
  }
  decision.level = next.earned;
  decision.cause = found.cause;
  if (decision.level < found.level) explain_wait(announcement, now, decision);
  return decision;
}

Decision early_decision(const AnnouncementConfig& announcement, const Assessment& certain, const std::string& missing,
                        const PolicyMemory& memory, SteadyTime now) {
  Decision decision{.deserved = certain.level, .deserved_cause = certain.cause, .memory = memory};
  keep_time(certain.level == Level::kWithdrawn, now, decision.memory.fault_since);
  decision.memory.drained_since.reset();  // nobody knows
  decision.memory.announced_since.reset();
  if (certain.level < memory.level) {
    const bool further = certain.level < memory.earned;  // than what is lost already
    if (!memory.damping.lost || further) lose(announcement, certain.level, now, decision.memory);
    decision.level = certain.level;
    decision.cause = certain.cause;
    return decision;
  }
  decision.level = memory.level;
  decision.as_found = true;
  decision.cause = fmt::format("as found at the start, until the first full round is complete: {}", missing);
  return decision;
}

// Rule 6.
void keep_last(const RoutingFacts& routing, const PolicyMemory& memory, SteadyTime now, Decision& decision) {
  if (decision.deserved != Level::kWithdrawn || memory.level == Level::kWithdrawn) return;
  const bool believed = now - decision.memory.fault_since.value_or(now) >= kLastAnnouncerWait;
  const bool others = routing.others.value_or(false);
  if (believed && others) return;
  decision.level = Level::kDrained;
  decision.as_found = false;
  decision.kept_last = true;
  decision.cause = fmt::format(
      "{}; kept, drained: {}", decision.cause,
      others ? "whether another announcer stays is not sure yet" : "BIRD knows nobody else who announces it");
}

std::string held(std::string_view how, const bgpctl::Hold& hold) {
  return fmt::format("held {} by {}: {}", how, hold.who, hold.reason);
}

void apply(const bgpctl::Hold& hold, bool first_round_done, Decision& decision) {
  switch (hold.kind) {
    case bgpctl::HoldKind::kWithdraw:
      decision.level = Level::kWithdrawn;
      decision.as_found = decision.kept_last = false;
      decision.cause = held("out", hold);
      return;
    case bgpctl::HoldKind::kAnnounce:
      if (!first_round_done) return;
      decision.level = Level::kAnnounced;
      decision.kept_last = false;
      decision.cause = held("in", hold);
      return;
    case bgpctl::HoldKind::kDrain:
      if (decision.level == Level::kWithdrawn || decision.kept_last) return;  // health says more
      if (decision.level == Level::kAnnounced) decision.as_found = false;
      decision.level = Level::kDrained;
      decision.cause = fmt::format("{}; {}", held("drained", hold), decision.cause);
  }
}

Decision canary_decision(const Facts& facts, const PolicyMemory& memory) {
  Decision decision{.level = facts.first_round_done ? Level::kAnnounced : memory.level,
                    .as_found = !facts.first_round_done,
                    .deserved = Level::kAnnounced,
                    .memory = memory};
  decision.cause =
      facts.first_round_done
          ? "canary: announced whatever health says"
          : fmt::format("as found at the start, until the first full round is complete: {}", facts.first_round_missing);
  decision.deserved_cause = decision.cause;
  return decision;
}

}  // namespace

Decision decide(const PopConfig& config, std::size_t index, const Facts& facts, const std::optional<bgpctl::Hold>& hold,
                const PolicyMemory& memory, SteadyTime now) {
  const AnnouncementConfig& announcement = config.announcements[index];
  const auto found = [&](Unknown unknown) { return assess(config, index, facts, memory, unknown); };
  Decision decision = announcement.canary      ? canary_decision(facts, memory)
                      : facts.first_round_done ? health_decision(announcement, found(Unknown::kIsBad), memory, now)
                                               : early_decision(announcement, found(Unknown::kIsGood),
                                                                facts.first_round_missing, memory, now);
  if (announcement.keep_last) keep_last(facts.routing[index], memory, now, decision);
  const Level by_health = decision.level;
  if (hold) apply(*hold, facts.first_round_done, decision);
  if (decision.level < memory.level && decision.level == by_health) {
    add_flap(announcement, decision.level, now, decision.memory.damping);
  }
  decision.memory.level = decision.level;
  return decision;
}

}  // namespace anypop::healthmon
