// SPDX-License-Identifier: Apache-2.0
// The report: one HTML page without anything from elsewhere, the same as text for a terminal, and as JSON. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "anypop_report/drawing.h"
#include "anypop_report/incidents.h"
#include "anypop_report/records.h"

namespace anypop::report {

struct Report {
  std::string title;
  std::int64_t begin_unix_ns = 0;  // of what it speaks about
  std::int64_t end_unix_ns = 0;
  std::vector<Event> events;        // in order of time
  std::vector<Request> requests;    // empty: no client kept a record
  std::vector<Mark> marks;          // from outside, such as the moment of a fault
  std::vector<Incident> incidents;  // find_incidents(), count_requests()
  std::size_t skipped_lines = 0;
};

std::string to_html(const Report& report);
std::string to_text(const Report& report);
boost::json::object to_json(const Report& report);

}  // namespace anypop::report
