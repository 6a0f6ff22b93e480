// SPDX-License-Identifier: Apache-2.0
// The commands of `anypop`. Each prints its answer and returns the exit code: 0 good, 1 not.
#pragma once

#include <filesystem>

namespace anypop::cli {

int check_config(const std::filesystem::path& file);
int status(const std::filesystem::path& config_file, bool as_json);

}  // namespace anypop::cli
