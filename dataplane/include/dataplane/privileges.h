// SPDX-License-Identifier: Apache-2.0
// The rights that the process keeps once everything that needs more is open: none in the workers; in the control thread
// CAP_NET_ADMIN (neighbours, detaching the XDP program) and CAP_BPF (the VIPs of a reload).
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include <absl/status/status.h>
#include <sys/types.h>

namespace anypop::dataplane {

// Control thread, which was started as root. Becomes `user` with its groups, for good: no program that it could start
// would have more. FailedPrecondition: no such user. PermissionDenied: this process is not root's, or `folder` would
// not be writable any more. `give_files` is called before the change, so that what this process made becomes the
// user's.
using GiveFiles = std::function<absl::Status(uid_t user, gid_t group)>;
absl::Status become(const std::string& user, const std::filesystem::path& folder, const GiveFiles& give_files);

}  // namespace anypop::dataplane
