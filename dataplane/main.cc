// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/config.h"
#include "base/text.h"
#include "dataplane/app.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

int fail(const absl::Status& status) {
  fmt::print(stderr, "anypop-dataplane: {}\n", anypop::message(status));
  return kExitFailed;
}

void set_up_log(bool verbose) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("anypop-dataplane"));
  spdlog::set_pattern("time=%Y-%m-%dT%H:%M:%S.%fZ level=%l %v", spdlog::pattern_time_type::utc);
  spdlog::set_level(verbose ? spdlog::level::debug : spdlog::level::info);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App options("Forwards the VIPs' packets to the backends.", "anypop-dataplane");
  std::string config_path(anypop::kDefaultConfigPath);
  bool verbose = false;
  options.add_option("--config", config_path, "the PoP's configuration")->capture_default_str();
  options.add_flag("--verbose", verbose, "log DPDK's own messages too");
  options.set_version_flag("--version", ANYPOP_VERSION);
  options.footer(
      "Stays in the foreground; logs to standard error. SIGTERM detaches it from its ports and ends it;\n"
      "SIGHUP, or POST /v1/reload, takes the configuration's file again without losing a packet.\n"
      "Examples:\n"
      "  anypop-dataplane\n"
      "  anypop-dataplane --config ./pop.yaml --verbose\n"
      "  curl --unix-socket /run/anypop/dataplane.sock http://anypop/v1/stats\n"
      "  anypop check-config --diff && curl --unix-socket /run/anypop/dataplane.sock -X POST http://anypop/v1/reload");
  try {
    options.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return options.exit(error) == 0 ? 0 : kExitUsage;
  }

  set_up_log(verbose);
  auto config = anypop::load_config(config_path);
  if (!config.ok()) return fail(config.status());
  auto app = anypop::dataplane::App::start(*std::move(config));
  if (!app.ok()) return fail(app.status());
  return (*app)->run();
}
