// SPDX-License-Identifier: Apache-2.0
// An event as a line of the log: event=verdict announcement=web announce=false cause="the dataplane is gone".
#pragma once

#include <string>

#include <boost/json/object.hpp>

namespace anypop::healthmon {

std::string event_text(const boost::json::object& event);
// Does the event say that something got worse? Then its line is a warning.
bool is_bad_news(const boost::json::object& event);

}  // namespace anypop::healthmon
