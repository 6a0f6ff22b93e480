// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <CLI/CLI.hpp>

#include "base/config.h"
#include "commands.h"

int main(int argc, char** argv) {
  CLI::App app{"anypop: questions about this PoP. The announcements are bgpctl's."};
  app.set_version_flag("--version", ANYPOP_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Examples:\n  anypop check-config pop.yaml\n  anypop reload\n  anypop status\n  anypop status --json | jq "
      ".monitor.announcements\n"
      "  anypop explain --from 203.0.113.7:4242 --to 198.51.100.1:80\n"
      "  anypop replay --config pop.yaml --in in.pcap --out out.pcap");

  int exit_code = 0;
  std::string config_file{anypop::kDefaultConfigPath};

  bool as_json = false;
  std::string old_config_file;
  CLI::App* check = app.add_subcommand("check-config", "Check a configuration, or say what a reload would change");
  check->add_option("FILE", config_file, "the configuration")->capture_default_str();
  CLI::Option* diff =
      check->add_option("--diff", old_config_file, "compare with this file, or with the running dataplane")
          ->expected(0, 1)
          ->option_text("[OLD]");
  check->add_flag("--json", as_json, "the differences as JSON")->needs(diff);
  check->footer(
      "Exit code: 0 if the configuration is good and, with --diff, a reload would take it.\n"
      "Examples:\n  anypop check-config pop.yaml\n  anypop check-config pop.yaml --diff\n"
      "  anypop check-config new.yaml --diff old.yaml");
  check->callback([&] {
    exit_code = diff->count() > 0 ? anypop::cli::diff_config(config_file, old_config_file, as_json)
                                  : anypop::cli::check_config(config_file);
  });

  anypop::cli::add_reload(app, exit_code);
  anypop::cli::add_drain_backend(app, exit_code);
  anypop::cli::add_status(app, exit_code);
  anypop::cli::add_top(app, exit_code);
  anypop::cli::add_explain(app, exit_code);
  anypop::cli::add_capture(app, exit_code);
  anypop::cli::add_replay(app, exit_code);
  anypop::cli::add_trace(app, exit_code);
  anypop::cli::add_bench(app, exit_code);
  anypop::cli::add_report(app, exit_code);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return exit_code;
}
