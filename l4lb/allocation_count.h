// SPDX-License-Identifier: Apache-2.0
// Linked into a test, replaces operator new by one that counts.
#pragma once

#include <cstddef>

namespace anypop::l4lb {

// Since the program started, on all threads.
std::size_t allocations();

}  // namespace anypop::l4lb
