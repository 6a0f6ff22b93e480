// SPDX-License-Identifier: Apache-2.0
// The last events of the event log, for the status page: those of every process, also from before this one started. One
// thread. Bounded: kEvents events; at most kReadMax bytes are read at a time, and what was there before them is passed
// over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>

#include <boost/json/object.hpp>

namespace anypop::healthmon {

class EventTail {
 public:
  static constexpr std::size_t kEvents = 50;
  static constexpr std::size_t kReadMax = 64U << 10U;

  explicit EventTail(std::filesystem::path file) : file_(std::move(file)) {}

  // Reads what has been appended since the last time. A file that was rotated or cut is read anew.
  void refresh();
  // An event that could not be written to the file.
  void push(const boost::json::object& event);
  // Oldest first. Each has `unix_ns`.
  const std::deque<boost::json::object>& events() const { return events_; }

 private:
  std::filesystem::path file_;
  std::uint64_t inode_ = 0;
  std::uint64_t offset_ = 0;
  std::string rest_;  // of a line whose end is not there yet
  std::deque<boost::json::object> events_;
};

}  // namespace anypop::healthmon
