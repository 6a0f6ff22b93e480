// SPDX-License-Identifier: Apache-2.0
// What people are told of events that are about the whole PoP, wherever they read it: the monitor's start, BIRD, its
// BGP sessions, the ports, the dataplane. Pure.
#pragma once

#include <optional>
#include <string>

#include <boost/json/object.hpp>

namespace anypop::bgpctl {

// "BIRD does not answer: no answer in time". What came from elsewhere is printable(). nullopt: it is no such event.
std::optional<std::string> event_words(const boost::json::object& event);

}  // namespace anypop::bgpctl
