// SPDX-License-Identifier: Apache-2.0
#include "bird_events.h"

#include <optional>
#include <utility>

#include <absl/time/time.h>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

// A storm of `configure` is one line in this time, with their number.
constexpr auto kConfigureQuiet = std::chrono::seconds(10);

// So much later than asked for a look may come: what differs by less is no step of the clock.
constexpr absl::Duration kLate = absl::Milliseconds(200);

Record session_event(const std::string& name, bool established, const std::string& cause) {
  return Record{{{"event", "session"}, {"session", name}, {"established", established}, {"cause", cause}}};
}

// Of a time in BIRD's own format; of others nothing is known but whether their texts are equal.
std::optional<absl::Time> parse_time(const std::string& text) {
  absl::Time time;
  if (!absl::ParseTime("%Y-%m-%d %H:%M:%E*S", {text.data(), text.size()}, &time, nullptr)) return std::nullopt;
  return time;
}

// The same moment, as BIRD tells it at two looks? It reckons back from now each time, and is a millisecond off here and
// there. `step`: how far the clock was set in between, as near as looks can tell.
bool same_moment(const std::string& before, const std::string& after, absl::Duration step) {
  constexpr absl::Duration kOff = absl::Milliseconds(50);
  if (before == after) return true;
  const auto first = parse_time(before);
  const auto second = parse_time(after);
  if (!first || !second) return false;
  const absl::Duration moved = *second - *first;
  return absl::AbsDuration(moved) <= kOff || (step != absl::ZeroDuration() && absl::AbsDuration(moved - step) <= kLate);
}

// How far the clock was set between two looks, by what BIRD told and the time that passed.
absl::Duration clock_step(const std::string& before, const std::string& after, absl::Duration passed) {
  const auto first = parse_time(before);
  const auto second = parse_time(after);
  if (!first || !second) return absl::ZeroDuration();
  const absl::Duration step = *second - *first - passed;
  return absl::AbsDuration(step) > kLate ? step : absl::ZeroDuration();
}

}  // namespace

std::string bird_problem(const absl::StatusOr<bgpctl::BirdView>& view) {
  if (!view.ok()) return std::string(message(view.status()));
  std::string problem;
  for (const bgpctl::BirdInstance& one : view->instances) {
    if (!one.error.empty()) problem += (problem.empty() ? "" : "; ") + one.error;
  }
  return problem;
}

void BirdEvents::on_look(const absl::StatusOr<bgpctl::BirdView>& view, Now now, Actions& actions) {
  const std::string problem = bird_problem(view);
  if (!std::exchange(asked_, true) || problem != problem_) {
    actions.push_back(Record{{{"event", "bird"},
                              {"reachable", problem.empty()},
                              {"version", view.ok() ? view->version : ""},
                              {"cause", problem}}});
  }
  problem_ = problem;
  if (!view.ok()) return;
  for (const bgpctl::BirdInstance& one : view->instances) {
    if (one.error.empty()) on_instance(one, *view, now, actions);
  }
  on_sessions(*view, problem.empty(), actions);
}

void BirdEvents::on_instance(const bgpctl::BirdInstance& found, const bgpctl::BirdView& view, Now now,
                             Actions& actions) {
  const auto [at, is_new] = instances_.try_emplace(found.socket);
  Instance& known = at->second;
  const absl::Duration step =
      clock_step(known.told.server_time, found.server_time, absl::FromChrono(now.steady - known.looked_at));
  const bool rebooted = !is_new && !same_moment(known.told.last_reboot, found.last_reboot, step);
  const bool configured =
      !is_new && !rebooted && !same_moment(known.told.last_reconfiguration, found.last_reconfiguration, step);
  known.told = found;
  known.looked_at = now.steady;
  if (rebooted) {
    known.configures = 0;
    on_restart(found, view, actions);
  }
  known.configures += configured ? 1U : 0U;
  if (known.configures == 0 || now.steady < known.quiet_until) return;
  known.quiet_until = now.steady + kConfigureQuiet;
  actions.push_back(Record{{{"event", "bird-configure"},
                            {"socket", found.socket},
                            {"count", std::exchange(known.configures, 0)},
                            {"last_reconfiguration", found.last_reconfiguration}}});
}

void BirdEvents::on_restart(const bgpctl::BirdInstance& found, const bgpctl::BirdView& view, Actions& actions) {
  actions.push_back(Record{{{"event", "bird-restart"}, {"socket", found.socket}, {"last_reboot", found.last_reboot}}});
  for (auto& [name, established] : sessions_) {
    const auto session = view.sessions.find(name);
    const bool lost = established && session != view.sessions.end() && session->second.families == found.families;
    if (!lost) continue;
    established = false;
    actions.push_back(session_event(name, false, "BIRD was restarted"));
  }
}

void BirdEvents::on_sessions(const bgpctl::BirdView& view, bool complete, Actions& actions) {
  const bool first = !std::exchange(sessions_known_, true);
  for (const auto& [name, session] : view.sessions) {
    const auto [at, is_new] = sessions_.try_emplace(name, session.established);
    const bool changed = is_new ? !first : at->second != session.established;
    at->second = session.established;
    if (!changed) continue;
    const auto protocol = view.protocols.find(name);
    actions.push_back(
        session_event(name, session.established, protocol == view.protocols.end() ? "" : protocol->second.info));
  }
  if (!complete) return;  // what a BIRD that is silent has is not gone
  std::erase_if(sessions_, [&](const auto& known) {
    if (view.sessions.contains(known.first)) return false;
    if (known.second) actions.push_back(session_event(known.first, false, "BIRD has it no more"));
    return true;
  });
}

}  // namespace anypop::healthmon
