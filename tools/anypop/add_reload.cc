// SPDX-License-Identifier: Apache-2.0
// `anypop reload`: the daemons take pop.yaml again, and whoever asked learns whether they did. A signal cannot say
// that.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "anypop_cli/json_read.h"
#include "base/config.h"
#include "base/text.h"
#include "commands.h"
#include "dataplane_api/http_client.h"
#include "dataplane_api/messages.h"
#include "dataplane_api/reload_report.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kTimeout{30};  // it builds every table
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

absl::StatusOr<HttpResponse> ask(const std::filesystem::path& socket) {
  return http_call(socket, {"POST", std::string(dataplane_api::kReloadPath), ""}, kTimeout);
}

json::value parsed(const HttpResponse& answer) {
  json::error_code error;
  json::value body = json::parse(answer.body, error);
  return error ? json::value(answer.body) : body;
}

// {"error": …} or, from whoever has no such word, the whole answer.
std::string error_in(const HttpResponse& answer) {
  const json::value body = parsed(answer);
  const std::string said = text_of(&body, "error");
  return said.empty() ? fmt::format("answered {}: {}", answer.status, escaped(answer.body)) : said;
}

Outcome reload_dataplane(const PopConfig& config) {
  const auto answer = ask(config.dataplane_socket());
  if (!answer.ok()) return refused(std::string(message(answer.status())));
  if (answer->status != 200 && answer->status != 409) return refused(error_in(*answer));
  const auto report = dataplane_api::parse_reload_report(answer->body);
  if (!report.ok()) return refused(error_in(*answer));
  Outcome outcome{report->refused.empty(), parsed(*answer), dataplane_api::reload_lines(*report)};
  if (outcome.lines.empty()) outcome.lines = {"reloaded; nothing about forwarding has changed"};
  return outcome;
}

Outcome reload_monitor(const PopConfig& config) {
  const auto answer = ask(config.monitor_socket());
  if (!answer.ok()) return refused(std::string(message(answer.status())));
  if (answer->status != 200) return refused(error_in(*answer));
  return {true, parsed(*answer), {"reloaded"}};
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
  step(kDataplane, reload_dataplane);
  step(kMonitor, reload_monitor);
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
