// SPDX-License-Identifier: Apache-2.0
// DPDK's AF_XDP driver keeps its sockets to itself; a worker that wants to sleep until a packet comes needs them.
#pragma once

#include <vector>

namespace anypop::dataplane {

// Descriptors of this process that are AF_XDP sockets, ascending. Those that a port's start adds are that port's.
std::vector<int> open_xsk_sockets();

}  // namespace anypop::dataplane
