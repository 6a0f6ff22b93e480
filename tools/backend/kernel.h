// SPDX-License-Identifier: Apache-2.0
// The running kernel, in the network namespace of the caller. Needs CAP_NET_ADMIN and CAP_BPF to change anything.
#pragma once

#include <memory>

#include "system.h"

namespace anypop::backend {

std::unique_ptr<System> make_kernel();

}  // namespace anypop::backend
