// SPDX-License-Identifier: Apache-2.0
// `anypop drain-backend` and `undrain-backend`: orders as files, so that they work with every process dead.
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <pwd.h>
#include <unistd.h>

#include "base/config.h"
#include "base/duration.h"
#include "base/text.h"
#include "commands.h"
#include "healthmon/backend_drain.h"

namespace anypop::cli {
namespace {

struct Request {
  std::string config{kDefaultConfigPath};
  std::string backend;  // SERVICE/BACKEND
  std::string reason;
  std::string duration;
};

std::string operator_name() {
  if (const char* caller = std::getenv("SUDO_USER"); caller != nullptr && ::getuid() == 0) return caller;
  const passwd* entry = ::getpwuid(::getuid());
  return entry == nullptr ? fmt::format("uid {}", ::getuid()) : entry->pw_name;
}

std::int64_t unix_now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

absl::Status carry_out(const Request& request, bool drain) {
  const auto config = load_config(request.config);
  if (!config.ok()) return config.status();
  const std::size_t slash = request.backend.find('/');
  if (slash == std::string::npos) {
    return invalid_argument("found '{}', expected SERVICE/BACKEND such as web4/b1", escaped(request.backend));
  }
  healthmon::DrainOrder order{.service = request.backend.substr(0, slash),
                              .backend = request.backend.substr(slash + 1),
                              .reason = request.reason,
                              .who = operator_name(),
                              .placed_unix_ms = unix_now_ms()};
  if (!drain) return healthmon::release_drain(*config, order.service, order.backend);
  if (!request.duration.empty()) {
    const auto length_ms = parse_duration_ms(request.duration);
    if (!length_ms.ok()) return length_ms.status();
    order.expires_unix_ms = order.placed_unix_ms + *length_ms;
  }
  return healthmon::place_drain(*config, order);
}

int run(const Request& request, bool drain) {
  const absl::Status status = carry_out(request, drain);
  if (!status.ok()) {
    fmt::print(stderr, "anypop: {}\n", message(status));
    return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ? 2 : 1;
  }
  fmt::print("{} {}\n", request.backend, drain ? "gets no new flows" : "serves again as its health says");
  return 0;
}

}  // namespace

void add_drain_backend(CLI::App& app, int& exit_code) {
  for (const bool drain : {true, false}) {
    const auto request = std::make_shared<Request>();
    CLI::App* command =
        drain ? app.add_subcommand("drain-backend", "Keep new flows away from a backend; those that it has stay")
              : app.add_subcommand("undrain-backend", "Lift that order");
    command->add_option("SERVICE/BACKEND", request->backend, "such as web4/b1")->required();
    command->add_option("--config", request->config, "the configuration")->capture_default_str();
    if (drain) {
      command->add_option("--reason", request->reason, "why; others will read it")->required();
      command->add_option("--for", request->duration, "until when: 90s, 30m, 2h, 1d; default: until it is lifted");
      command->footer(
          "Examples:\n  anypop drain-backend web4/b1 --reason \"disk swap\" --for 2h\n"
          "  anypop status | grep b1\n"
          "The order survives restarts of everything. A drained backend is no capacity: drain too many,\n"
          "and the monitor withdraws.");
    } else {
      command->footer("Example:\n  anypop undrain-backend web4/b1");
    }
    command->callback([request, drain, &exit_code] { exit_code = run(*request, drain); });
  }
}

}  // namespace anypop::cli
