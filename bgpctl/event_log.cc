// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/event_log.h"

#include <cerrno>
#include <chrono>
#include <ctime>
#include <utility>

#include <absl/cleanup/cleanup.h>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "base/text.h"
#include "shared_file.h"

namespace anypop::bgpctl {
std::int64_t unix_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string iso8601_utc(std::int64_t unix_ns) {
  const std::time_t seconds = unix_ns / 1'000'000'000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, unix_ns % 1'000'000'000 / 1000);
}

EventLog::EventLog(std::filesystem::path path, std::string by, Clock clock)
    : path_(std::move(path)), by_(std::move(by)), clock_(std::move(clock)) {}

absl::Status EventLog::append(const boost::json::object& event) const {
  const std::int64_t now = clock_();
  boost::json::object line{{"time", iso8601_utc(now)}, {"unix_ns", now}, {"by", by_}};
  for (const auto& [key, value] : event) line[key] = value;

  const auto file = open_shared_file(path_, O_WRONLY | O_APPEND, 0640);
  if (!file.ok()) return file.status();
  const absl::Cleanup close_file = [&] { ::close(*file); };
  const std::string text = boost::json::serialize(line) + "\n";
  const ssize_t written = ::write(*file, text.data(), text.size());
  if (written < 0) return errno_error(errno, "cannot write {}", path_.string());
  if (static_cast<std::size_t>(written) != text.size()) {
    return resource_exhausted("wrote {} of {} bytes to {}; is the disk full?", written, text.size(), path_.string());
  }
  return absl::OkStatus();
}

}  // namespace anypop::bgpctl
