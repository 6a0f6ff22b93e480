// SPDX-License-Identifier: Apache-2.0
// anypop-loadgen: an open-loop HTTP client that writes down every request.
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>

#include "base/text.h"
#include "load.h"

namespace {

namespace asio = boost::asio;
using anypop::loadgen::Load;
using anypop::loadgen::LoadOptions;
using anypop::loadgen::Record;

constexpr const char* kExamples = R"(
Examples:
  # 200 new connections a second, to both VIPs in turn, for ten seconds
  anypop-loadgen --target v4=198.51.100.1:80 --target 'v6=[2001:db8:53::1]:80' --rate 200 --duration-s 10

  # only long-lived connections: 10 of them, a request every 100 ms on each
  anypop-loadgen --target v4=198.51.100.1:80 --rate 0 --long 10 --long-interval-ms 100 --output requests.jsonl

One JSON object a line for each request: kind (new|long), target, connection, scheduled_unix_ns, start_unix_ns,
end_unix_ns, latency_us (from scheduled), pop, backend, error ("" if good). SIGINT or SIGTERM ends the plan early; what
is under way is waited for and written out.)";

struct Arguments {
  std::vector<std::string> targets;
  double rate_per_s = 200;
  std::uint64_t long_connections = 0;
  unsigned long_interval_ms = 100;
  unsigned timeout_ms = 500;
  double duration_s = 10;
  std::uint64_t requests_max = 1'000'000;
  std::string output = "-";
};

void declare(CLI::App& app, Arguments& arguments) {
  app.footer(kExamples);
  app.add_option("--target", arguments.targets, "NAME=ADDRESS:PORT; several are taken in turn")->required();
  app.add_option("--rate", arguments.rate_per_s, "new connections a second, all targets together")
      ->check(CLI::Range(0.0, 100'000.0))
      ->capture_default_str();
  app.add_option("--long", arguments.long_connections, "long-lived connections beside them")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  app.add_option("--long-interval-ms", arguments.long_interval_ms, "between two requests on one of them")
      ->check(CLI::Range(1, 60'000))
      ->capture_default_str();
  app.add_option("--timeout-ms", arguments.timeout_ms, "of one request, connecting included")
      ->check(CLI::Range(1, 60'000))
      ->capture_default_str();
  app.add_option("--duration-s", arguments.duration_s, "end of the plan")
      ->check(CLI::Range(0.0, 86'400.0))
      ->capture_default_str();
  app.add_option("--max", arguments.requests_max, "requests in all, whatever the duration")->capture_default_str();
  app.add_option("--output", arguments.output, "file for the lines; - is standard output")->capture_default_str();
}

absl::StatusOr<LoadOptions> options_of(const Arguments& arguments) {
  LoadOptions options;
  for (const std::string& text : arguments.targets) {
    auto target = anypop::loadgen::parse_target(text);
    if (!target.ok()) return target.status();
    options.targets.push_back(*std::move(target));
  }
  options.rate_per_s = arguments.rate_per_s;
  options.long_connections = arguments.long_connections;
  options.long_interval = std::chrono::milliseconds(arguments.long_interval_ms);
  options.timeout = std::chrono::milliseconds(arguments.timeout_ms);
  options.duration = std::chrono::milliseconds(static_cast<std::int64_t>(arguments.duration_s * 1000));
  options.requests_max = arguments.requests_max;
  return options;
}

int run(const LoadOptions& options, std::FILE* out) {
  asio::io_context io;
  asio::signal_set signals(io, SIGINT, SIGTERM);
  bool written = true;
  Load load(io, options, [&](const Record& record) {
    const std::string line = to_json(record) + "\n";
    // Flushed line by line: who watches the file sees requests as they end.
    written = std::fwrite(line.data(), 1, line.size(), out) == line.size() && std::fflush(out) == 0 && written;
  });
  signals.async_wait([&](boost::system::error_code error, int) {
    if (!error) load.stop();
  });
  load.start();
  while (!load.idle()) io.run_one();
  if (!written) fmt::print(stderr, "anypop-loadgen: the output could not be written; is the disk full?\n");
  return written ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Opens TCP connections at a fixed rate, one HTTP GET on each, and writes down every request."};
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto options = options_of(arguments);
  if (!options.ok()) {
    fmt::print(stderr, "anypop-loadgen: {}\n", anypop::message(options.status()));
    return 2;
  }
  std::FILE* out = arguments.output == "-" ? stdout : std::fopen(arguments.output.c_str(), "we");
  if (out == nullptr) {
    fmt::print(stderr, "anypop-loadgen: cannot write to {}\n", arguments.output);
    return 1;
  }
  return run(*options, out);
}
