// SPDX-License-Identifier: Apache-2.0
// The commands of `anypop`. Each prints its answer and has an exit code: 0 good, 1 not, 2 wrong arguments.
#pragma once

#include <filesystem>

namespace CLI {
class App;
}

namespace anypop::cli {

int check_config(const std::filesystem::path& file);
// What a reload of `file` would change, against `old` or, if that is empty, the running dataplane. 1: it would be
// refused.
int diff_config(const std::filesystem::path& file, const std::filesystem::path& old, bool as_json);
int status(const std::filesystem::path& config_file, bool as_json);

// Each puts its command, with options and help, under `app`. `exit_code` is set when the command has run.
void add_bench(CLI::App& app, int& exit_code);
void add_replay(CLI::App& app, int& exit_code);
void add_report(CLI::App& app, int& exit_code);

}  // namespace anypop::cli
