// SPDX-License-Identifier: Apache-2.0
// Files and folders that bgpctl (often root by sudo) and the monitor (a user of its own) both write: whoever comes
// first must not lock the other one out, so what root creates gets the owner and group of the folder that it lies in.
#pragma once

#include <filesystem>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sys/types.h>

namespace anypop::bgpctl {

// Creates what is missing of the path, mode 0755: BIRD's user must be able to read the state files inside.
absl::Status make_shared_folder(const std::filesystem::path& folder);

// A file descriptor, the caller's to close. `mode` holds whatever the umask says. Creates folder and file if need be.
absl::StatusOr<int> open_shared_file(const std::filesystem::path& path, int flags, mode_t mode);

}  // namespace anypop::bgpctl
