// SPDX-License-Identifier: Apache-2.0
// What libbpf does not tell about tc: is there a clsact qdisc on an interface, and does anybody use it.
#pragma once

#include <cstdint>

#include <absl/status/statusor.h>

namespace anypop::backend {

// Our place among the filters of an ingress. Late, so that other programs see the packets as they came.
inline constexpr std::uint32_t kFilterHandle = 1;
inline constexpr std::uint32_t kFilterPriority = 49000;

absl::StatusOr<bool> has_clsact(int interface_index);
absl::StatusOr<bool> has_filters(int interface_index);  // ingress or egress, anybody's

}  // namespace anypop::backend
