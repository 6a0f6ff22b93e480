// SPDX-License-Identifier: Apache-2.0
#include "healthmon/event_tail.h"

#include <string_view>

#include <boost/json/parse.hpp>

namespace anypop::healthmon {

void EventTail::push(const boost::json::object& event) {
  events_.push_back(event);
  if (events_.size() > kEvents) events_.pop_front();
}

void EventTail::refresh() {
  // What cannot be read now is read the next time.
  [[maybe_unused]] const absl::Status read = log_.read([this](std::string_view line) {
    boost::json::error_code error;
    const boost::json::value value = boost::json::parse({line.data(), line.size()}, error);
    if (!error && value.is_object()) push(value.get_object());
  });
}

}  // namespace anypop::healthmon
