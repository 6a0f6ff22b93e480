// SPDX-License-Identifier: Apache-2.0
// What a reload changes, as a message and as lines for people.
#pragma once

#include <string>
#include <vector>

#include "base/config_diff.h"
#include "dataplane_api/messages.h"

namespace anypop::dataplane_api {

// Not applied, of generation 0.
ReloadReport make_reload_report(const ConfigDiff& diff);

// A line per change; none if nothing differs.
std::vector<std::string> reload_lines(const ReloadReport& report);

}  // namespace anypop::dataplane_api
