// SPDX-License-Identifier: Apache-2.0
// An event as a line of the log: event=verdict announcement=web announce=false cause="the dataplane is gone".
#pragma once

#include <string>

#include <boost/json/object.hpp>

namespace anypop::healthmon {

std::string event_text(const boost::json::object& event);

}  // namespace anypop::healthmon
