// SPDX-License-Identifier: Apache-2.0
// An event log is written by several processes and read while they write: whatever is in it, the page is made.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "anypop_report/page.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace anypop::report;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Report report;
  read_events(text, "pop", report.events);
  read_requests(text, report.requests);
  std::stable_sort(report.events.begin(), report.events.end(),
                   [](const Event& a, const Event& b) { return a.unix_ns < b.unix_ns; });
  for (const Event& event : report.events) report.end_unix_ns = std::max(report.end_unix_ns, event.unix_ns);
  report.incidents = find_incidents(report.events);
  count_requests(report.requests, report.incidents);
  to_html(report);
  to_text(report);
  to_json(report);
  return 0;
}
