// SPDX-License-Identifier: Apache-2.0
#include "bird_events.h"

#include <utility>

#include <absl/time/time.h>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

// A storm of `configure` is one line in this time, with their number.
constexpr auto kConfigureQuiet = std::chrono::seconds(10);

Record session_event(const std::string& name, bool established, const std::string& cause) {
  return Record{{{"event", "session"}, {"session", name}, {"established", established}, {"cause", cause}}};
}

// The same moment, as BIRD tells it at two looks? It reckons back from now each time, and is a millisecond off here and
// there. Of other formats than BIRD's own ones only equal texts are.
bool same_moment(const std::string& a, const std::string& b) {
  constexpr absl::Duration kOff = absl::Milliseconds(50);
  constexpr auto kFormat = "%Y-%m-%d %H:%M:%E*S";
  absl::Time first;
  absl::Time second;
  if (a == b) return true;
  if (!absl::ParseTime(kFormat, {a.data(), a.size()}, &first, nullptr)) return false;
  if (!absl::ParseTime(kFormat, {b.data(), b.size()}, &second, nullptr)) return false;
  return absl::AbsDuration(first - second) <= kOff;
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
  const bool rebooted = !is_new && !same_moment(found.last_reboot, known.last_reboot);
  const bool configured = !is_new && !rebooted && !same_moment(found.last_reconfiguration, known.last_reconfiguration);
  known.last_reboot = found.last_reboot;
  known.last_reconfiguration = found.last_reconfiguration;
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
