// SPDX-License-Identifier: Apache-2.0
// Lines of the event log: which ones are wanted, and how people read them. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/config.h"

namespace anypop::bgpctl {

// nullopt: no JSON object with an "event" and a time.
std::optional<boost::json::object> parse_event(std::string_view line);
std::int64_t event_unix_ns(const boost::json::object& event);

// What concerns these announcements: what names them, their services or backends, and what names none at all, such as
// the dataplane or the monitor's start. No announcements: everything.
class EventFilter {
 public:
  explicit EventFilter(std::vector<AnnouncementConfig> announcements) : announcements_(std::move(announcements)) {}
  bool wants(const boost::json::object& event) const;

 private:
  std::vector<AnnouncementConfig> announcements_;
};

// "2026-11-20 14:26:17.045  bgpctl     hold      web: withdraw by alice for 30 min: ticket 42". `time` writes the
// moment as the reader wants it. What came from elsewhere is escaped.
std::string event_line(const boost::json::object& event, const std::function<std::string(std::int64_t)>& time);

// The moment in this machine's time zone, to the millisecond.
std::string local_time(std::int64_t unix_ns);

}  // namespace anypop::bgpctl
