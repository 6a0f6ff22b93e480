// SPDX-License-Identifier: Apache-2.0
// A small PoP around MonitorCore, whose actions are read as words.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "healthmon/monitor_core.h"
#include "sim_models.h"

namespace anypop::healthmon {

using namespace std::chrono_literals;
using bgpctl::Level;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

inline PopConfig small_pop() {
  PopConfig config;
  config.services = {
      {.name = "web4", .backends = {{.name = "b1"}, {.name = "b2"}}, .probes = {{.rise = 1, .fall = 2}}}};
  config.announcements = {
      {.name = "web", .prefixes = {*IpPrefix::parse("198.51.100.0/24")}, .services = {"web4"}, .hold_down_ms = 500}};
  return config;
}

// An action in a word: "set+", "set-", "look", "state", "health b1+ b2-"; records as "verdict", "drift: found"…
inline std::string word(const Action& action) {
  if (const auto* set = std::get_if<SetAnnouncement>(&action)) {
    return set->level == Level::kAnnounced ? "set+" : set->level == Level::kDrained ? "set~" : "set-";
  }
  if (const auto* stranger = std::get_if<WithdrawStranger>(&action)) {
    return fmt::format("withdraw {} of {} families", stranger->announcement.name,
                       stranger->announcement.prefixes.size());
  }
  if (std::holds_alternative<LookAtBird>(action)) return "look";
  if (std::holds_alternative<ReadDataplaneState>(action)) return "state";
  if (const auto* push = std::get_if<PushHealth>(&action)) {
    std::string text = "health";
    for (const auto& backend : push->update.backends) text += " " + backend.backend + (backend.healthy ? "+" : "-");
    return text;
  }
  if (const auto* record = std::get_if<Record>(&action)) {
    std::string text(record->event.at("event").as_string());
    if (text == "drift") text += ": " + std::string(record->event.at("found").as_string());
    if (text == "command") text += ": " + std::string(record->event.at("error").as_string());
    return text;
  }
  return "note";
}

// The records of a name among these actions.
inline std::vector<boost::json::object> records(const Actions& actions, std::string_view name) {
  std::vector<boost::json::object> found;
  for (const Action& action : actions) {
    const auto* record = std::get_if<Record>(&action);
    if (record != nullptr && std::string(record->event.at("event").as_string()) == name) found.push_back(record->event);
  }
  return found;
}

class MonitorCoreTest : public testing::Test {
 protected:
  using Words = std::vector<std::string>;

  Now now() const { return {SteadyTime(1h) + std::chrono::milliseconds(ms), 1'800'000'000'000 + ms}; }
  Words words(const Actions& actions) {
    Words result;
    for (const Action& action : actions) {
      if (!std::holds_alternative<SaveDamping>(action)) result.push_back(word(action));  // nobody waits for it
    }
    return result;
  }
  Words probe(std::size_t backend, bool ok) {
    return words(core.on_probe({0, backend}, {ok, ok ? "HTTP 200" : "connection refused"}, now()));
  }
  Words beat() { return words(core.on_heartbeat(dataplane.heartbeat(), now())); }
  Words state() { return words(core.on_dataplane_state(dataplane.state(), now())); }
  Words look() { return words(core.on_bird(bird.look(), bird.state_files(), now())); }
  Words set(bool announce) { return set(announce ? Level::kAnnounced : Level::kWithdrawn); }
  Words set(Level level) {
    const auto result = bird.set(0, level, false);
    return words(core.on_set({0, level}, result, bird.files[0], now()));
  }
  Words holds(absl::StatusOr<std::optional<bgpctl::Hold>> hold) { return words(core.on_holds({hold}, now())); }

  // Everything good, announced, read back, nothing pending.
  void reach_announced() {
    holds(std::nullopt);
    core.on_time(now());
    look();
    beat();
    state();
    probe(0, true);
    core.on_health_pushed(absl::OkStatus(), now());
    EXPECT_THAT(probe(1, true), ElementsAre("backend", "first-round", "verdict", "set+", "health b1+ b2+"));
    core.on_health_pushed(absl::OkStatus(), now());
    (void)dataplane.take_health({.backends = {{"web4", "b1", true}, {"web4", "b2", true}}});
    EXPECT_THAT(set(true), ElementsAre("command: ", "look"));
    look();
    beat();
    state();
    EXPECT_TRUE(core.decision(0).announced());
  }

  PopConfig config = small_pop();
  int ms = 0;
  sim::BirdModel bird{config};
  sim::DataplaneModel dataplane{config};
  MonitorCore core{config, bird.state_files(), {}, now()};
};

}  // namespace anypop::healthmon
