// SPDX-License-Identifier: Apache-2.0
// The last events of the event log, for the status page: those of every process, also from before this one started. One
// thread. Bounded: kEvents events.
#pragma once

#include <cstddef>
#include <deque>
#include <filesystem>
#include <utility>

#include <boost/json/object.hpp>

#include "bgpctl/event_reader.h"

namespace anypop::healthmon {

class EventTail {
 public:
  static constexpr std::size_t kEvents = 50;

  explicit EventTail(std::filesystem::path file) : log_(std::move(file), bgpctl::EventReader::Begin::kTail) {}

  // Reads what has been appended since the last time, through rotations.
  void refresh();
  // An event that could not be written to the file.
  void push(const boost::json::object& event);
  // Oldest first. Each has `unix_ns`.
  const std::deque<boost::json::object>& events() const { return events_; }

 private:
  bgpctl::EventReader log_;
  std::deque<boost::json::object> events_;
};

}  // namespace anypop::healthmon
