// SPDX-License-Identifier: Apache-2.0
// Facts as people and machines read them. Pure.
#pragma once

#include <cstdint>
#include <string>

#include <boost/json/object.hpp>

#include "facts.h"

namespace anypop::bgpctl {

std::string status_text(const PopConfig& config, const PopFacts& facts, std::int64_t now_unix_ms);
boost::json::object status_json(const PopConfig& config, const PopFacts& facts);

// "held withdrawn by alice: ticket 42 (for another 29 min 3 s)"
std::string hold_text(const Hold& hold, std::int64_t now_unix_ms);

}  // namespace anypop::bgpctl
