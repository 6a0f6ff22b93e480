// SPDX-License-Identifier: Apache-2.0
// `anypop reload`: the daemons take pop.yaml again, and whoever asked learns whether they did. A signal cannot say
// that.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "base/config.h"
#include "base/text.h"
#include "commands.h"
#include "dataplane_api/messages.h"
#include "dataplane_api/reload_report.h"
#include "reload_call.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kDataplane = "dataplane";
constexpr std::string_view kMonitor = "monitor";

struct Request {
  std::string config{kDefaultConfigPath};
  std::vector<std::string> daemons;  // empty: both
  bool json = false;

  bool wants(std::string_view daemon) const {
    return daemons.empty() || std::find(daemons.begin(), daemons.end(), daemon) != daemons.end();
  }
};

// What a daemon made of it, for programs and for people.
struct Outcome {
  bool taken = false;
  json::value answer;
  std::vector<std::string> lines;
};

Outcome refused(std::string why) { return {.answer = json::object{{"error", why}}, .lines = {"refused: " + why}}; }

Outcome dataplane_outcome(const PopConfig& config) {
  const auto report = reload_dataplane(config);
  if (!report.ok()) return refused(std::string(message(report.status())));
  Outcome outcome{report->refused.empty(), json::parse(to_json(*report)), dataplane_api::reload_lines(*report)};
  if (outcome.lines.empty()) outcome.lines = {"reloaded; nothing about forwarding has changed"};
  return outcome;
}

Outcome monitor_outcome(const PopConfig& config) {
  const auto answer = post_reload(config.monitor_socket());
  if (!answer.ok()) return refused(std::string(message(answer.status())));
  if (answer->status != 200) return refused(objection_in(*answer));
  return {true, json::object{{"reloaded", config.file.string()}}, {"reloaded"}};
}

// The dataplane first: it has next hops for new backends before the monitor asks through it. What it refuses, the
// monitor is not given either.
int run(const Request& request) {
  const auto config = load_config(request.config);
  if (!config.ok()) {
    fmt::print(stderr, "{}\nanypop: nothing was reloaded\n", message(config.status()));
    return 1;
  }
  json::object out;
  bool good = true;
  const auto step = [&](std::string_view daemon, auto reload) {
    if (!request.wants(daemon) || !good) return;
    const Outcome outcome = reload(*config);
    good = outcome.taken;
    out[daemon] = outcome.answer;
    if (request.json) return;
    for (const std::string& line : outcome.lines) fmt::print(good ? stdout : stderr, "{}: {}\n", daemon, line);
  };
  step(kDataplane, dataplane_outcome);
  step(kMonitor, monitor_outcome);
  if (request.json) fmt::print("{}\n", json::serialize(out));
  return good ? 0 : 1;
}

}  // namespace

void add_reload(CLI::App& app, int& exit_code) {
  const auto request = std::make_shared<Request>();
  CLI::App* command = app.add_subcommand("reload", "Let the daemons take the configuration again, losing nothing");
  command->add_option("DAEMON", request->daemons, "dataplane, monitor; default: both, in this order")
      ->check(CLI::IsMember({std::string(kDataplane), std::string(kMonitor)}));
  command->add_option("--config", request->config, "the configuration")->capture_default_str();
  command->add_flag("--json", request->json, "the answers as JSON");
  command->footer(
      "Exit code: 0 if it is in force; 1 if it was refused, with what runs left as it is. What the dataplane\n"
      "refuses, the monitor is not asked to take. `systemctl reload` asks one daemon in the same way.\n"
      "Examples:\n  anypop check-config --diff && anypop reload\n  anypop reload monitor");
  command->callback([request, &exit_code] { exit_code = run(*request); });
}

}  // namespace anypop::cli
