// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "anypop_report/page.h"
#include "base/atomic_file.h"
#include "base/config.h"
#include "base/duration.h"
#include "base/text.h"
#include "bgpctl/event_log.h"
#include "commands.h"

namespace anypop::cli {
namespace {

struct ReportRequest {
  std::string config_file{kDefaultConfigPath};
  std::vector<std::string> event_logs;  // POP=FILE or FILE; empty: that of the configuration
  std::vector<std::string> requests_files;
  std::vector<std::string> marks;  // NAME=UNIX_NS
  std::string since;
  std::string title = "Failovers";
  std::string out_file;
  bool as_json = false;
};

// A year of a busy PoP; what is larger is no event log.
constexpr std::size_t kFileMaxBytes = 1U << 30U;

// "ams=/var/lib/anypop/events.jsonl", or the file alone.
std::pair<std::string, std::string> named(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || text.find('/') < equals) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

absl::StatusOr<std::vector<report::Mark>> read_marks(const std::vector<std::string>& texts) {
  std::vector<report::Mark> marks;
  for (const std::string& text : texts) {
    const auto [name, number] = named(text);
    const auto when = parse_number<std::int64_t>(number.empty() ? "?" : number, 1, INT64_MAX);
    if (name.empty() || !when) {
      return invalid_argument("--mark: found '{}', expected NAME=UNIX_NANOSECONDS", escaped(text));
    }
    marks.push_back({*when, name});
  }
  return marks;
}

absl::Status read_logs(const ReportRequest& request, report::Report& found) {
  std::vector<std::pair<std::string, std::string>> logs;
  for (const std::string& text : request.event_logs) logs.push_back(named(text));
  if (logs.empty()) {
    const auto config = load_config(request.config_file);
    if (!config.ok()) return config.status();
    logs.emplace_back(config->pop, config->event_log().string());
  }
  for (const auto& [pop, file] : logs) {
    const auto text = read_file(file, kFileMaxBytes);
    if (!text.ok()) return text.status();
    found.skipped_lines += report::read_events(*text, pop, found.events).lines;
  }
  std::stable_sort(found.events.begin(), found.events.end(),
                   [](const auto& a, const auto& b) { return a.unix_ns < b.unix_ns; });
  for (const std::string& file : request.requests_files) {
    const auto text = read_file(file, kFileMaxBytes);
    if (!text.ok()) return text.status();
    found.skipped_lines += report::read_requests(*text, found.requests).lines;
  }
  return absl::OkStatus();
}

// Events from before stay: they tell the levels at the begin.
void choose_window(std::int64_t since_ns, std::int64_t now_ns, report::Report& found) {
  found.begin_unix_ns = since_ns;
  found.end_unix_ns = now_ns;
  if (since_ns != 0) return;
  std::int64_t first = INT64_MAX;
  std::int64_t last = 0;
  for (const auto& event : found.events) {
    first = std::min(first, event.unix_ns);
    last = std::max({last, event.unix_ns, event.replied_unix_ns});
  }
  for (const auto& asked : found.requests) {
    first = std::min(first, asked.start_unix_ns);
    last = std::max(last, asked.end_unix_ns);
  }
  found.begin_unix_ns = first == INT64_MAX ? now_ns : first;
  found.end_unix_ns = last == 0 ? now_ns : last;
}

absl::StatusOr<report::Report> make_report(const ReportRequest& request) {
  report::Report found;
  const std::int64_t now = bgpctl::unix_now_ns();
  std::int64_t since = 0;
  if (!request.since.empty()) {
    const auto moment = parse_moment_ns(request.since, now);
    if (!moment.ok()) return invalid_argument("--since: {}", message(moment.status()));
    since = *moment;
  }
  auto marks = read_marks(request.marks);
  if (!marks.ok()) return marks.status();
  found.marks = *std::move(marks);
  if (const absl::Status status = read_logs(request, found); !status.ok()) return status;
  choose_window(since, now, found);
  found.title = request.title;
  found.incidents = report::find_incidents(found.events);
  std::erase_if(found.incidents,
                [&](const report::Incident& incident) { return incident.end_unix_ns() < found.begin_unix_ns; });
  report::assign_faults(found.marks, found.incidents);
  report::count_requests(found.requests, found.incidents);
  return found;
}

int run(const ReportRequest& request) {
  const auto found = make_report(request);
  if (!found.ok()) {
    fmt::print(stderr, "anypop report: {}\n", message(found.status()));
    return 1;
  }
  if (!request.out_file.empty()) {
    const absl::Status written = write_file_atomically(request.out_file, report::to_html(*found));
    if (!written.ok()) {
      fmt::print(stderr, "anypop report: {}\n", message(written));
      return 1;
    }
  }
  if (request.as_json) {
    fmt::print("{}\n", boost::json::serialize(report::to_json(*found)));
  } else {
    fmt::print("{}", report::to_text(*found));
  }
  return 0;
}

}  // namespace

void add_report(CLI::App& app, int& exit_code) {
  auto request = std::make_shared<ReportRequest>();
  CLI::App* const report = app.add_subcommand("report", "What happened: each withdrawal, step by step, as a page");
  report->add_option("--config", request->config_file, "whose event log is read")->capture_default_str();
  report->add_option("--events", request->event_logs, "event logs instead, of any number of PoPs: POP=FILE");
  report->add_option("--requests", request->requests_files, "what clients saw, as anypop-loadgen writes it");
  report->add_option("--mark", request->marks, "a moment to be marked: NAME=UNIX_NANOSECONDS");
  report->add_option("--since", request->since, "2h, or 2026-11-20T17:00:00Z; default: all there is");
  report->add_option("--title", request->title, "of the page")->capture_default_str();
  report->add_option("--out", request->out_file, "write the page, HTML with drawings, to this file");
  report->add_flag("--json", request->as_json, "print the result as one JSON object");
  report->footer(
      "Examples:\n  anypop report --since 24h\n  anypop report --since 2026-11-20T03:00:00Z --out night.html\n"
      "  anypop report --events ams=ams.jsonl --events fra=fra.jsonl --out fleet.html");
  report->callback([request, &exit_code] { exit_code = run(*request); });
}

}  // namespace anypop::cli
