// SPDX-License-Identifier: Apache-2.0
// The status page: one HTML document without outside resources that is complete without JavaScript; a short script
// replaces the sections that change as /status/stream sends them. Pure: a function of what is known. Everything that
// comes from elsewhere is escaped.
#pragma once

#include <deque>
#include <string>

#include <boost/json/object.hpp>

#include "healthmon/traffic_history.h"

namespace anypop::healthmon {

struct StatusView {
  boost::json::object state;                                // the body of GET /v1/state
  const std::deque<boost::json::object>* events = nullptr;  // of the event log, oldest first
  const TrafficHistory* traffic = nullptr;
  std::int64_t now_unix_ms = 0;
};

// The sections, as they stand inside <main>.
std::string status_sections(const StatusView& view);
std::string status_page(const StatusView& view);

}  // namespace anypop::healthmon
