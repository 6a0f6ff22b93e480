// SPDX-License-Identifier: Apache-2.0
#include "anypop_report/incidents.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace anypop::report {
namespace {

// What has been wrong for longer than this is no sign of what happens now.
constexpr std::int64_t kSignMaxAgeNs = 60'000'000'000;

constexpr std::array<std::string_view, kMomentCount> kMomentNames = {
    "fault",
    "first sign",
    "verdict",
    "command",
    "BIRD's answer",
    "last failed request",
    "last client served again",
    "verdict to return",
    "command to return",
    "back",
};

std::size_t index(Moment moment) { return static_cast<std::size_t>(moment); }

void note(Incident& incident, Moment moment, std::int64_t unix_ns) {
  auto& slot = incident.unix_ns[index(moment)];
  if (!slot) slot = unix_ns;
}

// Reads the events of one PoP in order.
class PopReader {
 public:
  void read(const Event& event) {
    switch (event.kind) {
      case EventKind::kBackend:
      case EventKind::kDataplane: note_sign(event); break;
      case EventKind::kHold:
        if (event.level == false) withdraw(event, event.unix_ns);
        break;
      case EventKind::kVerdict:
        if (event.level == false) withdraw(event, std::nullopt);
        if (event.level == true) give_back(event);
        break;
      case EventKind::kCommand: command(event); break;
      default: break;
    }
  }

  std::vector<Incident> take() { return std::move(incidents_); }

 private:
  void note_sign(const Event& event) {
    const std::string what = event.kind == EventKind::kDataplane ? std::string() : event.object;
    if (event.level == false) wrong_since_.try_emplace(what, event.unix_ns);
    if (event.level == true) wrong_since_.erase(what);
  }

  std::int64_t oldest_sign(std::int64_t now_ns) const {
    std::int64_t oldest = now_ns;
    for (const auto& [what, since] : wrong_since_) {
      if (now_ns - since <= kSignMaxAgeNs) oldest = std::min(oldest, since);
    }
    return oldest;
  }

  // An operator's order is its own sign.
  void withdraw(const Event& event, std::optional<std::int64_t> sign_ns) {
    const auto open = open_.find(event.object);
    if (open != open_.end()) {
      Incident& incident = incidents_[open->second];
      if (!incident.at(Moment::kReturnVerdict)) return;
    }
    open_[event.object] = incidents_.size();
    Incident incident{.pop = event.pop, .announcement = event.object, .cause = event.cause};
    note(incident, Moment::kSign, sign_ns ? *sign_ns : oldest_sign(event.unix_ns));
    note(incident, Moment::kVerdict, event.unix_ns);
    incidents_.push_back(std::move(incident));
  }

  void give_back(const Event& event) {
    const auto open = open_.find(event.object);
    if (open != open_.end()) note(incidents_[open->second], Moment::kReturnVerdict, event.unix_ns);
  }

  void command(const Event& event) {
    const auto open = open_.find(event.object);
    if (open == open_.end() || !event.ok || !event.level) return;
    if (event.sent_unix_ns == 0 || event.replied_unix_ns == 0) return;
    Incident& incident = incidents_[open->second];
    const bool back = *event.level;
    if (back && !incident.at(Moment::kReturnVerdict)) {
      // An operator's announcement, before the monitor has said anything.
      note(incident, Moment::kReturnVerdict, event.sent_unix_ns);
    }
    note(incident, back ? Moment::kReturnCommand : Moment::kCommand, event.sent_unix_ns);
    note(incident, back ? Moment::kReturnReply : Moment::kReply, event.replied_unix_ns);
    if (back) open_.erase(open);
  }

  std::map<std::string, std::int64_t> wrong_since_;  // "" is the dataplane
  std::map<std::string, std::size_t> open_;          // by announcement, in incidents_
  std::vector<Incident> incidents_;
};

// When every target that had failed has answered a request that began later; nullopt: one has not, or none failed.
std::optional<std::int64_t> recovery(std::span<const Request> requests,
                                     const std::map<std::string_view, std::int64_t>& failed_last) {
  std::optional<std::int64_t> all;
  for (const auto& [target, failed] : failed_last) {
    std::int64_t first = INT64_MAX;
    for (const Request& request : requests) {
      if (request.error.empty() && request.target == target && request.start_unix_ns > failed) {
        first = std::min(first, request.end_unix_ns);
      }
    }
    if (first == INT64_MAX) return std::nullopt;
    all = std::max(all.value_or(0), first);
  }
  return all;
}

}  // namespace

std::string_view moment_name(Moment moment) { return kMomentNames[index(moment)]; }

std::int64_t Incident::begin_unix_ns() const {
  for (const auto& moment : unix_ns) {
    if (moment) return *moment;
  }
  return 0;
}

std::int64_t Incident::end_unix_ns() const {
  std::int64_t end = 0;
  for (const auto& moment : unix_ns) end = std::max(end, moment.value_or(0));
  return end;
}

std::optional<double> Incident::between_ms(Moment from, Moment to) const {
  const auto begin = at(from);
  const auto end = at(to);
  if (!begin || !end) return std::nullopt;
  return static_cast<double>(*end - *begin) / 1e6;
}

std::vector<Incident> find_incidents(std::span<const Event> events) {
  std::map<std::string, PopReader> readers;
  for (const Event& event : events) readers[event.pop].read(event);
  std::vector<Incident> all;
  for (auto& [pop, reader] : readers) {
    for (Incident& incident : reader.take()) all.push_back(std::move(incident));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Incident& a, const Incident& b) { return a.begin_unix_ns() < b.begin_unix_ns(); });
  return all;
}

void assign_faults(std::span<const Mark> marks, std::span<Incident> incidents) {
  for (Incident& incident : incidents) {
    const std::int64_t verdict = incident.at(Moment::kVerdict).value_or(incident.begin_unix_ns());
    std::int64_t fault = 0;
    for (const Mark& mark : marks) {
      const bool fits = mark.unix_ns <= verdict && verdict - mark.unix_ns <= kSignMaxAgeNs;
      if (mark.name == "fault" && fits) fault = std::max(fault, mark.unix_ns);
    }
    if (fault > 0) note(incident, Moment::kFault, fault);
  }
}

void count_requests(std::span<const Request> requests, std::span<Incident> incidents) {
  for (Incident& incident : incidents) {
    const std::int64_t begin = incident.begin_unix_ns();
    const std::int64_t end = incident.over() ? incident.end_unix_ns() : INT64_MAX;
    std::map<std::string_view, std::int64_t> failed_last;  // by target
    std::int64_t last = 0;
    for (const Request& request : requests) {
      if (request.error.empty() || request.end_unix_ns < begin || request.start_unix_ns > end) continue;
      ++(request.moved ? incident.moved_requests : incident.failed_requests);
      if (request.moved) continue;
      last = std::max(last, request.start_unix_ns);
      std::int64_t& of_target = failed_last[request.target];
      of_target = std::max(of_target, request.start_unix_ns);
    }
    // A request may have begun before the first sign and fail all the same.
    if (last > 0) note(incident, Moment::kLastFailure, std::max(last, begin));
    if (const auto recovered = recovery(requests, failed_last)) note(incident, Moment::kRecovered, *recovered);
  }
}

double nearest_rank(std::span<const double> sorted, double share) {
  return sorted[static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size()))) - 1];
}

Percentiles percentiles(const Step& step, std::span<const Incident> incidents) {
  std::vector<double> values;
  for (const Incident& incident : incidents) {
    if (const auto value = incident.between_ms(step.from, step.to)) values.push_back(*value);
  }
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {.count = values.size(),
          .least = values.front(),
          .median = nearest_rank(values, 0.5),
          .p90 = nearest_rank(values, 0.9),
          .most = values.back()};
}

}  // namespace anypop::report
