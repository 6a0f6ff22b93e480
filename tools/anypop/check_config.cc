// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>

#include <fmt/format.h>

#include "base/atomic_file.h"
#include "base/config.h"
#include "base/text.h"
#include "commands.h"
#include "dataplane_api/reload_report.h"
#include "l4lb/snapshot_diff.h"
#include "reload_call.h"

namespace anypop::cli {
namespace {

int fail(const absl::Status& status) {
  fmt::print(stderr, "{}\n", message(status));
  return 1;
}

// The running dataplane knows which backends are healthy, and judges by that.
absl::StatusOr<dataplane_api::ReloadReport> ask_dataplane(const std::filesystem::path& file, const PopConfig& config) {
  const auto text = read_file(file);
  if (!text.ok()) return text.status();
  return reload_dataplane(config, "?dry_run=1", *text);
}

}  // namespace

int diff_config(const std::filesystem::path& file, const std::filesystem::path& old, bool as_json) {
  const auto config = load_config(file);
  if (!config.ok()) return fail(config.status());
  absl::StatusOr<dataplane_api::ReloadReport> report;
  if (old.empty()) {
    report = ask_dataplane(file, *config);
  } else {
    const auto before = load_config(old);
    if (!before.ok()) return fail(before.status());
    report = dataplane_api::make_reload_report(l4lb::predict(*before, *config));
  }
  if (!report.ok()) return fail(report.status());
  const auto lines = dataplane_api::reload_lines(*report);
  if (as_json) {
    fmt::print("{}\n", dataplane_api::to_json(*report));
  } else if (lines.empty()) {
    fmt::print("{}: good: a reload would change nothing about forwarding\n", file.string());
  }
  if (!as_json) {
    for (const std::string& line : lines) fmt::print("{}\n", line);
  }
  return report->refused.empty() ? 0 : 1;
}

int check_config(const std::filesystem::path& file) {
  const auto config = load_config(file);
  if (!config.ok()) return fail(config.status());
  std::size_t backends = 0;
  for (const ServiceConfig& service : config->services) backends += service.backends.size();
  fmt::print("{}: good: PoP {}, {} announcements, {} services, {} backends\n", file.string(), config->pop,
             config->announcements.size(), config->services.size(), backends);
  return 0;
}

}  // namespace anypop::cli
