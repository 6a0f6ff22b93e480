// SPDX-License-Identifier: Apache-2.0
// From what is wanted and how the server is to what must be done. Looks, and changes nothing.
#pragma once

#include <absl/status/statusor.h>

#include "installed.h"
#include "system.h"

namespace anypop::backend {

// What will be ours once `wish` is installed on a server where `old` is. Fails when it cannot be: no such interface,
// an address that this server does not have, a program of somebody else.
absl::StatusOr<Installed> plan(System& system, const Wish& wish, const Installed& old);

}  // namespace anypop::backend
