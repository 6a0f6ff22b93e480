// SPDX-License-Identifier: Apache-2.0
// What a report is made from: the event logs of PoPs and, if there was a client that kept a record, its requests. Both
// are JSON lines. Readers take whatever is there: a line that is cut off or means nothing to them is counted and passed
// over, because the file may be in the middle of being written. Pure; cost linear in the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anypop::report {

enum class EventKind : std::uint8_t { kBackend, kDataplane, kVerdict, kCommand, kHold, kRelease, kDrift, kOther };

struct Event {
  std::int64_t unix_ns = 0;
  std::string pop;
  EventKind kind = EventKind::kOther;
  std::string name;               // as in the log: "verdict"
  std::string object;             // the announcement, "service/backend", or empty
  std::optional<bool> level;      // healthy, alive, announce: what the event says it is now
  std::int64_t sent_unix_ns = 0;  // command
  std::int64_t replied_unix_ns = 0;
  bool ok = true;
  std::string by;
  std::string cause;  // or reason, or error
};

struct Request {
  std::int64_t start_unix_ns = 0;
  std::int64_t end_unix_ns = 0;
  std::string target = {};  // which address was asked, by the client's name for it
  std::string pop;          // who answered; empty after an error
  std::string error;        // empty: answered
  bool moved = false;       // its connection was open when the route changed: no fault of the PoPs
};

// A moment that somebody outside has noted, such as that of a fault.
struct Mark {
  std::int64_t unix_ns = 0;
  std::string name;
};

struct Skipped {
  std::size_t lines = 0;
};

// Appends to `events`; the caller sorts.
Skipped read_events(std::string_view text, std::string_view pop, std::vector<Event>& events);
Skipped read_requests(std::string_view text, std::vector<Request>& requests);

}  // namespace anypop::report
