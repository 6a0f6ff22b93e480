// SPDX-License-Identifier: Apache-2.0
// From a request of the control socket to the engine's explanation, and from that to the answer with its names. The
// dataplane answers so, and `anypop explain` by a configuration alone.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include <absl/status/statusor.h>

#include "base/config.h"
#include "dataplane_api/messages.h"
#include "l4lb/explain.h"
#include "l4lb/snapshot.h"

namespace anypop {

// The flow records of a running dataplane.
struct ExplainTables {
  std::span<const l4lb::FlowTable* const> workers;    // in their order
  std::span<const l4lb::FlowTable* const> left_over;  // by a former process that had more workers
};
// The way to a backend in words, or why there is none: "10.1.0.1 on eth0".
using NextHopText = std::function<std::string(const IpAddress& backend)>;

// InvalidArgument: the request names no packet, and the message says what is wrong with it. `snapshot` must have been
// made of the services of `config`. Any thread that may read them and the tables.
absl::StatusOr<dataplane_api::ExplainAnswer> explain_answer(const PopConfig& config, const l4lb::Snapshot& snapshot,
                                                            const dataplane_api::ExplainRequest& request,
                                                            std::uint32_t now_ms, const ExplainTables& tables = {},
                                                            const NextHopText& next_hop = {});

}  // namespace anypop
