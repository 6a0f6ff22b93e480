// SPDX-License-Identifier: Apache-2.0
// An event of the log as a sentence for people: "web was withdrawn: web4: 0 of 2 backends healthy". Pure. Private to
// healthmon.
#pragma once

#include <string>

#include <boost/json/object.hpp>

namespace anypop::healthmon {

// An event that this does not know is told as its line of the log.
std::string event_sentence(const boost::json::object& event);

}  // namespace anypop::healthmon
