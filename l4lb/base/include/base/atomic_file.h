// SPDX-License-Identifier: Apache-2.0
// Small state files that are either the old text or the new one, whatever dies in between.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace anypop {

// Largest file that read_file() accepts unless told otherwise, in bytes: state and configuration are small, and a
// hostile file must not grow us.
inline constexpr std::size_t kSmallFileMaxBytes = 4U << 20U;

// Writes beside `path`, syncs, renames over it and syncs the folder. The folder must exist. Errors name the path and
// why.
absl::Status write_file_atomically(const std::filesystem::path& path, std::string_view text);

// The whole file. NotFound when there is none; other errors name the path and why.
absl::StatusOr<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes = kSmallFileMaxBytes);

}  // namespace anypop
