// SPDX-License-Identifier: Apache-2.0
// The commands of `anypop`. Each prints its answer and has an exit code: 0 good, 1 not, 2 wrong arguments.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace anypop::cli {

int check_config(const std::filesystem::path& file);
// What a reload of `file` would change, against `old` or, if that is empty, the running dataplane. 1: it would be
// refused.
int diff_config(const std::filesystem::path& file, const std::filesystem::path& old, bool as_json);
int status(const std::filesystem::path& config_file, bool as_json);

// The PoPs at `targets` and in the file `inventory` (empty: none); see fleet.h.
int fleet_status(const std::vector<std::string>& targets, const std::string& inventory, bool as_json);

struct ExplainOptions {
  std::string config;
  std::string from;
  std::string to;
  std::string protocol = "tcp";
  bool live = false;
  bool offline = false;
  std::vector<std::string> down;
  bool syn = false;
  unsigned bytes = 0;
  std::optional<std::string> connection_id;
  std::optional<unsigned> mtu_bytes;  // of the port; offline
  bool json = false;
};
int explain(const ExplainOptions& options);

struct TopOptions {
  std::string config;
  std::vector<std::string> targets;  // PoPs instead of this one; see fleet.h
  std::string inventory;
  unsigned interval_ms = 1000;
  bool once = false;
  bool json = false;
};
int top(const TopOptions& options);

// Each puts its command, with options and help, under `app`. `exit_code` is set when the command has run.
void add_bench(CLI::App& app, int& exit_code);
void add_capture(CLI::App& app, int& exit_code);
void add_drain_backend(CLI::App& app, int& exit_code);
void add_explain(CLI::App& app, int& exit_code);
void add_reload(CLI::App& app, int& exit_code);
void add_replay(CLI::App& app, int& exit_code);
void add_report(CLI::App& app, int& exit_code);
void add_status(CLI::App& app, int& exit_code);
void add_top(CLI::App& app, int& exit_code);
void add_trace(CLI::App& app, int& exit_code);

}  // namespace anypop::cli
