// SPDX-License-Identifier: Apache-2.0
// The packet that a question is about, as a client would send it; only what the engine looks at is filled in.
#pragma once

#include <cstddef>
#include <vector>

#include <absl/status/statusor.h>

#include "l4lb/explain.h"

namespace anypop::l4lb {

// An Ethernet frame behind kHeadroomBytes. Errors: see explain().
absl::StatusOr<std::vector<std::byte>> make_packet(const FlowQuestion& question);

}  // namespace anypop::l4lb
