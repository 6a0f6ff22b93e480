// SPDX-License-Identifier: Apache-2.0
// The status page: one HTML document without outside resources that is complete without JavaScript; a short script
// brings the sections up to date as /status/stream sends them. Pure: a function of what is known. Everything that comes
// from elsewhere is escaped.
#pragma once

#include <deque>
#include <string>

#include <boost/json/object.hpp>

#include "healthmon/traffic_history.h"

namespace anypop::healthmon {

struct StatusView {
  boost::json::object state;                                // as MonitorCore::page_json() gives it, and who it is
  const std::deque<boost::json::object>* events = nullptr;  // of the event log, oldest first
  const TrafficHistory* traffic = nullptr;
  const dataplane_api::State* dataplane = nullptr;  // what the dataplane said last; nullptr: nothing
  const dataplane_api::Stats* stats = nullptr;
  std::int64_t now_unix_ms = 0;
  bool many_services = false;  // a line for each service instead of its backends
  bool narrowed = false;       // `state` holds one service
  bool whole = false;          // every service, however many
};

// The sections, as they stand inside <main>.
std::string status_sections(const StatusView& view);
std::string status_page(const StatusView& view);

}  // namespace anypop::healthmon
