// SPDX-License-Identifier: Apache-2.0
// From a request of the control socket to the engine's explanation, and from that to the answer with its names. The
// dataplane answers so, and `anypop explain` by a configuration alone.
#pragma once

#include <cstdint>
#include <span>

#include <absl/status/statusor.h>

#include "base/config.h"
#include "dataplane_api/messages.h"
#include "l4lb/explain.h"
#include "l4lb/snapshot.h"

namespace anypop {

// InvalidArgument: the request names no packet, and the message says what is wrong with it. `snapshot` must have been
// made of the services of `config`; `tables` are the workers', in their order. Any thread that may read them.
absl::StatusOr<dataplane_api::ExplainAnswer> explain_answer(const PopConfig& config, const l4lb::Snapshot& snapshot,
                                                            const dataplane_api::ExplainRequest& request,
                                                            std::uint32_t now_ms,
                                                            std::span<const l4lb::FlowTable* const> tables = {});

}  // namespace anypop
