// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/config.h"
#include "commands.h"

namespace anypop::cli {
namespace {

struct StatusOptions {
  std::string config{kDefaultConfigPath};
  std::vector<std::string> targets;
  std::string inventory;
  bool json = false;
};

}  // namespace

void add_status(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<StatusOptions>();
  CLI::App* command = app.add_subcommand("status", "What is announced, who serves it, where packets went");
  CLI::Option* config = command->add_option("--config", options->config, "the configuration")->capture_default_str();
  command
      ->add_option(
          "POP", options->targets,
          "PoPs to ask instead of this one: [NAME=]http://HOST:PORT, or a configuration, run_dir or socket here")
      ->excludes(config);
  command->add_option("--inventory", options->inventory, "a file with a PoP a line: NAME ADDRESS")->excludes(config);
  command->add_flag("--json", options->json, "everything the daemons said, as one JSON object");
  command->footer(
      "Exit code: 0 if every daemon answers and every announcement is announced, else 1; with several PoPs 3 if one "
      "of\n"
      "them does not answer.\n"
      "Examples:\n"
      "  anypop status\n"
      "  anypop status --json | jq .monitor.announcements\n"
      "  anypop status ams=http://192.0.2.1:9000 fra=http://192.0.2.2:9000\n"
      "  anypop status --inventory /etc/anypop/pops");
  command->callback([options, &exit_code] {
    const bool fleet = !options->targets.empty() || !options->inventory.empty();
    exit_code = fleet ? fleet_status(options->targets, options->inventory, options->json)
                      : status(options->config, options->json);
  });
}

}  // namespace anypop::cli
