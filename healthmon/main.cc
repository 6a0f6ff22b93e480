// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <cstdio>
#include <random>
#include <string>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include "base/text.h"
#include "dataplane_api/log.h"
#include "healthmon/monitor.h"

namespace {

int fail(const absl::Status& status) {
  fmt::print(stderr, "anypop-healthmon: {}\n", anypop::message(status));
  return 1;
}

// Each probe under way is a descriptor, and Debian's soft limit is 1024.
void allow_many_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void reload_on(boost::asio::signal_set& signals, anypop::healthmon::Monitor& monitor) {
  signals.async_wait([&signals, &monitor](boost::system::error_code error, int) {
    if (error) return;
    (void)monitor.reload();  // says what came of it
    reload_on(signals, monitor);
  });
}

int run(const std::string& config_path, bool verbose) {
  auto config = anypop::load_config(config_path);
  if (!config.ok()) return fail(config.status());
  anypop::start_log(verbose);
  allow_many_descriptors();
  boost::asio::io_context io(1);
  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code, int) { io.stop(); });
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);  // until there is something that could reload
  auto monitor = anypop::healthmon::Monitor::start(io, *std::move(config), std::random_device{}());
  if (!monitor.ok()) return fail(monitor.status());
  boost::asio::signal_set hangups(io, SIGHUP);
  reload_on(hangups, **monitor);
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Decides by probes whether this PoP deserves its traffic, and tells BIRD."};
  std::string config_path(anypop::kDefaultConfigPath);
  app.add_option("--config", config_path, "The PoP's configuration")->capture_default_str();
  bool verbose = false;
  app.add_flag("--verbose", verbose, "Log the result of each probe too");
  app.set_version_flag("--version", ANYPOP_VERSION);
  app.footer(
      "Stays in the foreground; logs to standard error. It must run as a user of group bird. When it ends, the\n"
      "announcements stay as they are. SIGHUP reads the configuration again.\n"
      "Examples:\n"
      "  anypop-healthmon\n"
      "  anypop-healthmon --config ./pop.yaml\n"
      "  curl --unix-socket /run/anypop/healthmon.sock http://anypop/v1/state");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return run(config_path, verbose);
}
