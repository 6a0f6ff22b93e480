// SPDX-License-Identifier: Apache-2.0
// The answers of both daemons as a page for a terminal. Pure.
#pragma once

#include <string>

#include "anypop_cli/facts.h"
#include "base/config.h"

namespace anypop::cli {

// One line for each announcement, service and backend, the counters that are not 0, and a plain word about a daemon
// that does not answer. Trusts nothing in the monitor's JSON to be there.
std::string status_text(const PopConfig& config, const PopFacts& facts, bool color = false);

// True if both daemons answered and every announcement is wanted: what the exit code says.
bool is_good(const PopFacts& facts);

}  // namespace anypop::cli
