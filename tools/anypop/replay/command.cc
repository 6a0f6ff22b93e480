// SPDX-License-Identifier: Apache-2.0
#include "anypop_replay/command.h"

#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "anypop_replay/replay.h"
#include "anypop_replay/report.h"
#include "base/text.h"

namespace anypop::replay {
namespace {

int fail(const absl::Status& status, int code = 1) {
  fmt::print(stderr, "anypop replay: {}\n", message(status));
  return code;
}

bool same_file(const std::string& a, const std::string& b) {
  std::error_code none;
  return a != "-" && b != "-" && (a == b || std::filesystem::equivalent(a, b, none));
}

absl::Status check_files(const Request& request) {
  const std::string& punt = request.punt;
  if (same_file(request.in, request.out) || (!punt.empty() && same_file(request.in, punt))) {
    return invalid_argument("found {} to read and to write, expected different files", escaped(request.in));
  }
  if (!punt.empty() && (punt == request.out || same_file(punt, request.out))) {
    return invalid_argument("found {} for --out and --punt, expected different files", escaped(punt));
  }
  if (request.json && (request.out == "-" || punt == "-")) {
    return invalid_argument("found --json and a capture for standard output, expected one of them there");
  }
  return absl::OkStatus();
}

absl::Status read_changes(const Request& request, const PopConfig& config, std::vector<HealthChange>& changes) {
  for (const bool healthy : {false, true}) {
    for (const std::string& text : healthy ? request.up : request.down) {
      const auto change = parse_health_change(config, text, healthy);
      if (!change.ok()) {
        return invalid_argument("{}: {}", healthy ? "--up" : "--down", message(change.status()));
      }
      changes.push_back(*change);
    }
  }
  return absl::OkStatus();
}

absl::Status close(CaptureWriter* writer) { return writer == nullptr ? absl::OkStatus() : writer->close(); }

}  // namespace

int run(const Request& request) {
  if (absl::Status status = check_files(request); !status.ok()) return fail(status, 2);
  const auto config = load_config(request.config);
  if (!config.ok()) return fail(config.status());
  std::vector<HealthChange> changes;
  if (absl::Status status = read_changes(request, *config, changes); !status.ok()) return fail(status, 2);
  auto in = open_capture(request.in);
  if (!in.ok()) return fail(in.status());
  auto out = CaptureWriter::create(request.out);
  if (!out.ok()) return fail(out.status());
  std::optional<absl::StatusOr<CaptureWriter>> punt;
  if (!request.punt.empty()) {
    punt = CaptureWriter::create(request.punt);
    if (!punt->ok()) return fail(punt->status());
  }
  CaptureWriter* const punt_writer = punt ? &**punt : nullptr;

  Replay replay(*config, request.options, std::move(changes));
  ReplaySinks sinks{.out = &*out, .punt = punt_writer};
  if (request.json) {
    sinks.each = [&](const Replayed& packet) { fmt::print("{}\n", packet_json(*config, packet)); };
  }
  const absl::Status status = replay.run(**in, sinks);
  if (replay.summary().packets == replay.summary().unreadable && !status.ok()) return fail(status);
  for (const absl::Status& closed : {close(&*out), close(punt_writer)}) {
    if (!closed.ok()) return fail(closed);
  }
  if (!request.json) {
    fmt::print(request.out == "-" || request.punt == "-" ? stderr : stdout, "{}",
               summary_text(*config, replay, request.options));
  }
  if (std::fflush(stdout) != 0) return fail(unavailable("cannot write to standard output"));
  return status.ok() ? 0 : fail(status);
}

}  // namespace anypop::replay
