// SPDX-License-Identifier: Apache-2.0
// An announcement as the monitor tells it in GET /v1/state, in words for a terminal: the same in `status`, `top` and
// the fleet. Trusts nothing to be there. Pure.
#pragma once

#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "anypop_cli/paint.h"

namespace anypop::cli {

struct AnnouncementText {
  std::string name;
  std::string level;  // "announced", "drained", "withdrawn"
  Paint paint = Paint::kPlain;
  std::string cause;
  std::string exported_to;         // "t1, t2"; "nobody"
  std::vector<std::string> notes;  // holds, hold-down, problems: a line each
};
AnnouncementText announcement_text(const boost::json::value& announcement);

}  // namespace anypop::cli
