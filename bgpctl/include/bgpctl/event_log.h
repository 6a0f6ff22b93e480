// SPDX-License-Identifier: Apache-2.0
// The event log: one JSON object a line, appended by whoever acts (the monitor, bgpctl), so that an incident can be
// told from one file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include <absl/status/status.h>
#include <boost/json/object.hpp>

namespace anypop::bgpctl {

// CLOCK_REALTIME in nanoseconds since 1970.
std::int64_t unix_now_ns();

// "2026-11-20T14:26:17.045123Z"
std::string iso8601_utc(std::int64_t unix_ns);

// The file is opened for each event: events are rare, a rotated or repaired file is picked up, and several processes
// may write. Each event is one O_APPEND write, so lines of different processes never mix. Safe on one thread at a time.
class EventLog {
 public:
  using Clock = std::function<std::int64_t()>;  // CLOCK_REALTIME in nanoseconds

  // `by` names the program: "healthmon" or "bgpctl". Nothing is opened or created yet.
  EventLog(std::filesystem::path path, std::string by, Clock clock = unix_now_ns);

  // Writes {"time", "unix_ns", "by", …event}. Creates the file (mode 0640) and its folder if need be. Errors name the
  // path; whoever acts must act all the same.
  //   log.append({{"event", "verdict"}, {"announcement", "web"}, {"announce", false}, {"cause", "…"}});
  absl::Status append(const boost::json::object& event) const;

 private:
  std::filesystem::path path_;
  std::string by_;
  Clock clock_;
};

}  // namespace anypop::bgpctl
