// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <CLI/CLI.hpp>

#include "anypop_bench/command.h"
#include "commands.h"

namespace anypop::cli {

void add_bench(CLI::App& app, int& exit_code) {
  const auto request = std::make_shared<bench::Request>();
  CLI::App* command = app.add_subcommand("bench", "Measure the packet engine on this machine; about half a minute");
  command->add_flag("--full", request->full, "every combination, up to 10 million flows: some minutes, 2 GB");
  command->add_option("--only", request->only, "cases whose name contains this, such as 'flows' or 'ipip'");
  command->add_option_function<unsigned>(
      "--ms", [request](unsigned ms) { request->per_case = std::chrono::milliseconds(ms); },
      "time for each case, in milliseconds");
  command->add_option("--rounds", request->rounds, "measure all cases so often, and take the best round of each")
      ->check(CLI::Range(1U, 100U));
  command->add_flag("--json", request->json, "the results as one JSON object");
  command->footer(
      "One thread, no privileges, no network. CPU is the share of a processor that the thread had. Below 98 %, or "
      "with\n"
      "a wide spread from p10 to p90, a line is marked: something else ran, and its figures are too high.\n"
      "Examples:\n  anypop bench\n  anypop bench --only services\n  anypop bench --full --json > bench.json");
  command->callback([request, &exit_code] { exit_code = bench::run(*request); });
}

}  // namespace anypop::cli
