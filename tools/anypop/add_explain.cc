// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <CLI/CLI.hpp>

#include "base/config.h"
#include "commands.h"

namespace anypop::cli {

void add_explain(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<ExplainOptions>();
  options->config = kDefaultConfigPath;
  CLI::App* command = app.add_subcommand("explain", "Where a flow's packets go, and why");
  command->add_option("--config", options->config, "the configuration")->capture_default_str();
  command->add_option("--from", options->from, "the client: 198.51.100.7:4242 or [2001:db8::7]:4242")->required();
  command->add_option("--to", options->to, "the VIP and port, in the same way")->required();
  command->add_option("--protocol", options->protocol, "of the flow")
      ->check(CLI::IsMember({"tcp", "udp"}))
      ->capture_default_str();
  CLI::Option* live = command->add_flag("--live", options->live, "by the running dataplane, or not at all");
  CLI::Option* offline =
      command->add_flag("--offline", options->offline, "by the configuration: every backend healthy, MACs from `mac:`");
  command->add_option("--down", options->down, "SERVICE/BACKEND: offline, with this backend down")
      ->allow_extra_args(false)
      ->excludes(live);
  offline->excludes(live);
  command->add_option("--mtu", options->mtu_bytes, "of the port, in bytes: offline, with this MTU; default: 1500")
      ->check(CLI::Range(1280, 65535))
      ->excludes(live);
  command->add_flag("--syn", options->syn, "tcp: the first packet of a connection");
  command->add_option("--bytes", options->bytes, "length of the IP packet: does it fit the tunnel?")
      ->check(CLI::Range(0, 9000));
  command->add_option("--connection-id", options->connection_id, "udp: a QUIC connection ID, in hexadecimal");
  command->add_flag("--json", options->json, "the answer as one JSON object");
  command->footer(
      "Asks the running dataplane; if that does not answer, the configuration, and says so.\n"
      "Examples:\n"
      "  anypop explain --from 203.0.113.7:4242 --to 198.51.100.1:80\n"
      "  anypop explain --from '[2001:db8:c::7]:4242' --to '[2001:db8:53::1]:443' --protocol udp --connection-id "
      "0500ff\n"
      "  anypop explain --config new.yaml --offline --down web4/b1 --from 203.0.113.7:4242 --to 198.51.100.1:80");
  command->callback([options, &exit_code] { exit_code = explain(*options); });
}

}  // namespace anypop::cli
