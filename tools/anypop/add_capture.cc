// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <CLI/CLI.hpp>

#include "anypop_capture/command.h"
#include "base/config.h"
#include "commands.h"

namespace anypop::cli {
namespace {

void add_what(CLI::App& command, capture::Request& request) {
  command.add_option("--config", request.config, "the configuration")->capture_default_str();
  command.add_option("--filter", request.filter, "which packets, as of tcpdump; default: all");
  command.add_option("--verdict", request.verdicts, "only those with one of these verdicts, such as drop_no_service")
      ->delimiter(',');
  command.add_option("-c,--count", request.packets, "then end")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  command.add_option("--seconds", request.seconds, "then end, however few there were")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
}

}  // namespace

void add_capture(CLI::App& app, int& exit_code) {
  const auto request = std::make_shared<capture::Request>();
  request->config = kDefaultConfigPath;
  CLI::App* command = app.add_subcommand("capture", "Write packets of the running dataplane, each with its verdict");
  add_what(*command, *request);
  command->add_option("-w,--write", request->out, "pcapng; - is standard output")->required();
  command->add_option("--rate", request->per_second, "packets a second, of each worker at most")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command->footer(
      "The first 256 bytes of each packet as it came; the verdict is the packet's comment. Forwarding is not held up:\n"
      "what is over the rate is counted, not waited for.\n"
      "Examples:\n"
      "  anypop capture --filter 'tcp port 80' -w web.pcapng\n"
      "  anypop capture --verdict drop_no_service,drop_no_backend -c 100 -w - | tshark -r - -T fields -e "
      "frame.comment");
  command->callback([request, &exit_code] { exit_code = capture::run(*request); });
}

void add_trace(CLI::App& app, int& exit_code) {
  const auto request = std::make_shared<capture::Request>();
  request->config = kDefaultConfigPath;
  request->packets = 10;
  CLI::App* command = app.add_subcommand("trace", "Print what becomes of the next packets");
  add_what(*command, *request);
  command->footer(
      "Examples:\n  anypop trace --filter 'host 203.0.113.9'\n  anypop trace --verdict drop_malformed -c 3");
  command->callback([request, &exit_code] { exit_code = capture::run(*request); });
}

}  // namespace anypop::cli
