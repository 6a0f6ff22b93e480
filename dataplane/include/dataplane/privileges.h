// SPDX-License-Identifier: Apache-2.0
// The rights that the process keeps once everything that needs more is open: none in the workers; in the control thread
// CAP_NET_ADMIN (neighbours, detaching the XDP program) and CAP_BPF (the VIPs of a reload).
#pragma once

#include <filesystem>
#include <string>

#include <absl/status/status.h>

namespace anypop::dataplane {

// Control thread, which was started as root. Becomes `user` with its groups, for good: no program that it could start
// would have more. FailedPrecondition: no such user. PermissionDenied: this process is not root's, or `folder` would
// not be writable any more.
absl::Status become(const std::string& user, const std::filesystem::path& folder);

}  // namespace anypop::dataplane
