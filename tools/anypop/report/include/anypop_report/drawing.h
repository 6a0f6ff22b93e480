// SPDX-License-Identifier: Apache-2.0
// Timelines as SVG, to be put into an HTML page, whose style sheet (page.h) gives the colours of both themes. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anypop_report/incidents.h"
#include "anypop_report/records.h"

namespace anypop::report {

struct Scene {
  std::span<const Event> events;      // in order of time; also those before the window, for the levels at its begin
  std::span<const Request> requests;  // in any order
  std::vector<Mark> marks;            // vertical lines, numbered from 1 in this order
  std::int64_t begin_unix_ns = 0;     // the window
  std::int64_t end_unix_ns = 0;
  std::int64_t zero_unix_ns = 0;  // of the scale; 0: times of day, UTC
  std::string title;              // for readers who do not see it
};

// One lane for each announcement, backend and dataplane that changed, and one for the requests by PoP.
std::string draw(const Scene& scene);

inline constexpr std::size_t kPopColours = 5;  // then they begin again

// PoPs in the order of their colours.
std::vector<std::string> pops_of(std::span<const Event> events, std::span<const Request> requests);

// Text that is safe between tags and in quoted attributes.
std::string html_escaped(std::string_view text);

}  // namespace anypop::report
