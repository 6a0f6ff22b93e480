// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <CLI/CLI.hpp>

#include "anypop_replay/command.h"
#include "base/config.h"
#include "base/text.h"
#include "commands.h"

namespace anypop::cli {

void add_replay(CLI::App& app, int& exit_code) {
  const auto request = std::make_shared<replay::Request>();
  request->config = kDefaultConfigPath;
  CLI::App* command = app.add_subcommand("replay", "Run the packet engine over a capture file; needs no privileges");
  command->add_option("--config", request->config, "the configuration")->capture_default_str();
  command->add_option("--in", request->in, "the capture to read, pcap or pcapng; - is standard input")->required();
  command->add_option("--out", request->out, "where frames go that leave, in order; - is standard output")->required();
  command->add_option("--punt", request->punt, "where frames go that the kernel would get");
  command->add_flag("--json", request->json, "a line of JSON per packet instead of the summary");
  command->add_option("--down", request->down, "SERVICE/BACKEND[@SECONDS]: fails then, from the start without a time")
      ->allow_extra_args(false);
  command->add_option("--up", request->up, "SERVICE/BACKEND[@SECONDS]: works again then")->allow_extra_args(false);
  command->add_option("--mtu", request->options.mtu_bytes, "of the port, in bytes")
      ->check(CLI::Range(1280, 65535))
      ->capture_default_str();
  command->add_option_function<std::string>(
      "--port-mac",
      [request](const std::string& text) {
        const auto mac = MacAddress::parse(text);
        if (!mac.ok()) throw CLI::ValidationError("--port-mac", std::string(message(mac.status())));
        request->options.port_mac = *mac;
      },
      "source of frames that leave; default: what each frame was sent to");
  command->add_flag_callback(
      "--no-stand-ins", [request] { request->options.stand_ins = false; },
      "a backend without `mac:` is unresolved, instead of getting a MAC made of its address");
  command->footer(
      "Examples:\n"
      "  anypop replay --config pop.yaml --in in.pcapng --out out.pcap --punt punt.pcap\n"
      "  anypop replay --config pop.yaml --in in.pcap --out /dev/null --json | jq -r .verdict | sort | uniq -c\n"
      "  anypop replay --config pop.yaml --in in.pcap --out out.pcap --down web4/b1@10 --up web4/b1@40\n"
      "  tcpdump -i eth0 -w - | anypop replay --in - --out /dev/null");
  command->callback([request, &exit_code] { exit_code = replay::run(*request); });
}

}  // namespace anypop::cli
