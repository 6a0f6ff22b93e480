// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <string>
#include <thread>

#include "base/text.h"
#include "bgpctl/event_reader.h"
#include "log_text.h"

namespace anypop::bgpctl {
namespace {

constexpr std::chrono::milliseconds kPoll{100};

// What is printed of a line of the file; nullopt: it is not wanted.
std::optional<std::string> shown(std::string_view line, const LogWish& wish, const EventFilter& filter) {
  const auto event = parse_event(line);
  if (!event || !filter.wants(*event)) return std::nullopt;
  if (wish.since_unix_ns && event_unix_ns(*event) < *wish.since_unix_ns) return std::nullopt;
  return wish.json ? std::string(line) : event_line(*event, local_time);
}

bool print(const std::string& line) { return std::fputs((line + "\n").c_str(), stdout) >= 0; }

}  // namespace

int show_log(const PopConfig& config, const LogWish& wish) {
  const std::filesystem::path path = config.event_log();
  std::error_code error;
  if (!wish.follow && !std::filesystem::exists(path, error) && !error) {
    fmt::print(stderr, "bgpctl: {}: no events yet\n", path.string());
    return 0;
  }
  const EventFilter filter(wish.announcements);
  EventReader reader(path, wish.lines == 0U ? EventReader::Begin::kEnd : EventReader::Begin::kOldest);
  std::deque<std::string> last;
  absl::Status status = reader.read([&](std::string_view line) {
    auto text = shown(line, wish, filter);
    if (!text) return;
    last.push_back(*std::move(text));
    if (wish.lines && last.size() > *wish.lines) last.pop_front();
  });
  bool heard = true;
  for (const std::string& line : last) heard = heard && print(line);
  heard = std::fflush(stdout) == 0 && heard;
  while (status.ok() && wish.follow && heard) {
    std::this_thread::sleep_for(kPoll);
    status = reader.read([&](std::string_view line) {
      if (const auto text = shown(line, wish, filter)) heard = print(*text) && heard;
    });
    heard = std::fflush(stdout) == 0 && heard;
  }
  if (status.ok()) return 0;
  fmt::print(stderr, "bgpctl: {}\n", message(status));
  return 1;
}

}  // namespace anypop::bgpctl
