// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/config.h"
#include "base/text.h"
#include "dataplane/app.h"
#include "dataplane/successor.h"
#include "dataplane_api/log.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

int fail(const absl::Status& status) {
  fmt::print(stderr, "anypop-dataplane: {}\n", anypop::message(status));
  return kExitFailed;
}

std::vector<std::string> command_of(const char* program, const std::string& config_path, bool verbose) {
  std::vector<std::string> command = {anypop::dataplane::program_path(program), "--config",
                                      std::filesystem::absolute(config_path).string()};
  if (verbose) command.emplace_back("--verbose");
  return command;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App options("Forwards the VIPs' packets to the backends.", "anypop-dataplane");
  std::string config_path(anypop::kDefaultConfigPath);
  bool verbose = false;
  options.add_option("--config", config_path, "the PoP's configuration")->capture_default_str();
  options.add_flag("--verbose", verbose, "log DPDK's own messages too");
  bool replace = false;
  options.add_flag("--replace", replace, "take the place of the dataplane that runs, with a short gap only");
  options.set_version_flag("--version", ANYPOP_VERSION);
  options.footer(
      "Stays in the foreground; logs to standard error. SIGTERM detaches it from its ports and ends it;\n"
      "SIGHUP, or `anypop reload`, takes the configuration's file again without losing a packet.\n"
      "SIGUSR1 ends it too, but tells the monitor first that another one follows at once, so that nothing is "
      "withdrawn.\n"
      "SIGUSR2 starts that one itself, with --replace: it prepares beside this one, which forwards until it is asked "
      "to\n"
      "leave. Connections survive all of it, and a crash: flow tables stay in run_dir/takeover for the next one.\n"
      "Examples:\n"
      "  anypop-dataplane\n"
      "  anypop-dataplane --config ./pop.yaml --verbose\n"
      "  curl --unix-socket /run/anypop/dataplane.sock http://anypop/v1/stats\n"
      "  anypop check-config --diff && anypop reload");
  try {
    options.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return options.exit(error) == 0 ? 0 : kExitUsage;
  }

  anypop::start_log(verbose);
  auto config = anypop::load_config(config_path);
  if (!config.ok()) return fail(config.status());
  auto app = anypop::dataplane::App::start(*std::move(config),
                                           {.replace = replace, .command = command_of(argv[0], config_path, verbose)});
  if (!app.ok()) return fail(app.status());
  return (*app)->run();
}
