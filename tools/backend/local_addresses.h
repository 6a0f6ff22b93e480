// SPDX-License-Identifier: Apache-2.0
// VIPs on a device, by rtnetlink(7). A single address becomes an address of the device; a wider prefix a local route,
// which makes every address of it the server's own. In IPv4 the address has scope host and in IPv6 it is deprecated,
// so that the kernel never takes it for the sender of the server's own connections.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "system.h"

namespace anypop::backend {

absl::StatusOr<bool> has_local(const Vip& vip);
absl::Status add_local(const Vip& vip);
absl::Status remove_local(const Vip& vip);  // NotFound: it was not there

}  // namespace anypop::backend
