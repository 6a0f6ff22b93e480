// SPDX-License-Identifier: Apache-2.0
// From single events to failovers: what was the first sign, when was it decided, when was BIRD told, and back again.
// Pure. Cost O(events x failovers).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anypop_report/records.h"

namespace anypop::report {

// The moments of a failover, in the order in which they come.
enum class Moment : std::uint8_t {
  kFault,          // the mark of that name from outside, if there is one
  kSign,           // the oldest thing then wrong: a backend out, the dataplane dead, an operator's order
  kVerdict,        // the announcement is to be withdrawn
  kCommand,        // BIRD was told
  kReply,          // BIRD agreed
  kLastFailure,    // the last request that failed began (only if a client kept a record)
  kRecovered,      // after it every target has answered again: the last client is served
  kReturnVerdict,  // the announcement may return
  kReturnCommand,  // BIRD was told
  kReturnReply,    // BIRD agreed
};
inline constexpr std::size_t kMomentCount = 10;
std::string_view moment_name(Moment moment);

struct Incident {
  std::string pop;
  std::string announcement;
  std::string cause;                                                // of the withdrawal
  std::array<std::optional<std::int64_t>, kMomentCount> unix_ns{};  // by Moment
  std::size_t failed_requests = 0;                                  // from sign to return
  std::size_t moved_requests = 0;

  std::optional<std::int64_t> at(Moment moment) const { return unix_ns[static_cast<std::size_t>(moment)]; }
  std::int64_t begin_unix_ns() const;  // the first moment known
  std::int64_t end_unix_ns() const;    // the last moment known
  bool over() const { return at(Moment::kReturnReply).has_value(); }
  // Milliseconds between two moments; nullopt unless both are known.
  std::optional<double> between_ms(Moment from, Moment to) const;
};

// `events` in order of time. Failovers in order of their begin.
std::vector<Incident> find_incidents(std::span<const Event> events);

// The mark "fault" that each began with: the last one in the minute before its verdict.
void assign_faults(std::span<const Mark> marks, std::span<Incident> incidents);

// Which requests failed during each. Requests in any order.
void count_requests(std::span<const Request> requests, std::span<Incident> incidents);

struct Step {
  std::string_view name;
  Moment from;
  Moment to;
};
inline constexpr std::array kSteps{
    Step{"fault to first sign", Moment::kFault, Moment::kSign},
    Step{"sign to verdict", Moment::kSign, Moment::kVerdict},
    Step{"verdict to command", Moment::kVerdict, Moment::kCommand},
    Step{"command to BIRD's answer", Moment::kCommand, Moment::kReply},
    Step{"sign to the last failed request", Moment::kSign, Moment::kLastFailure},
    Step{"fault to the last recovered client", Moment::kFault, Moment::kRecovered},
    Step{"out of the table", Moment::kReply, Moment::kReturnReply},
    Step{"return: verdict to command", Moment::kReturnVerdict, Moment::kReturnCommand},
};

// The value that this share of `sorted` does not exceed. Precondition: not empty.
double nearest_rank(std::span<const double> sorted, double share);

struct Percentiles {
  std::size_t count = 0;
  double least = 0, median = 0, p90 = 0, most = 0;  // milliseconds, by nearest rank
};
Percentiles percentiles(const Step& step, std::span<const Incident> incidents);

}  // namespace anypop::report
