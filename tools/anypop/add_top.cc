// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <CLI/CLI.hpp>

#include "base/config.h"
#include "commands.h"

namespace anypop::cli {

void add_top(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<TopOptions>();
  options->config = kDefaultConfigPath;
  CLI::App* command = app.add_subcommand("top", "What passes through this PoP, as it happens; q quits");
  CLI::Option* config = command->add_option("--config", options->config, "the configuration")->capture_default_str();
  command
      ->add_option("POP", options->targets,
                   "PoPs to watch instead of this one, a line each: [NAME=]http://HOST:PORT, or a configuration, "
                   "run_dir or socket here")
      ->excludes(config);
  command->add_option("--inventory", options->inventory, "a file with a PoP a line: NAME ADDRESS")->excludes(config);
  command->add_option("--interval", options->interval_ms, "milliseconds between two looks")
      ->check(CLI::Range(100, 60'000))
      ->capture_default_str();
  command->add_flag("--once", options->once, "one page after one interval, and no terminal needed");
  command->add_flag("--json", options->json, "an object a line, at each interval, instead of a page");
  command->footer(
      "Exit code of --once: 0 if both daemons answer and every announcement is announced, else 1; with several PoPs 3\n"
      "if one of them does not answer.\n"
      "Examples:\n  anypop top\n  anypop top --once\n  anypop top --inventory /etc/anypop/pops\n  anypop top --json "
      "--interval 5000 | jq .verdicts");
  command->callback([options, &exit_code] { exit_code = top(*options); });
}

}  // namespace anypop::cli
