// SPDX-License-Identifier: Apache-2.0
// What `anypop replay` says: a line of JSON per packet for programs, a table for people.
#pragma once

#include <string>

#include "anypop_replay/replay.h"

namespace anypop::replay {

// One line without its end:
// {"index":0,"time":1700000000.000000000,"bytes":74,"verdict":"forward","service":"web4","backend":"b1","decision":"hashed"}
// service, backend and decision are null where there is none. decision: what chose the backend, as in
// l4lb::decision_name(): "hashed", "tracked", …
std::string packet_json(const PopConfig& config, const Replayed& packet);

// The verdicts and the backends that were met, and what a reader must know about the result.
std::string summary_text(const PopConfig& config, const Replay& replay, const OfflineOptions& options);

}  // namespace anypop::replay
