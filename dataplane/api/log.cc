// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/log.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "12", "0.25", "-3": a number and nothing else.
bool is_number(std::string_view value) {
  return !value.empty() && std::ranges::any_of(value, is_digit) && std::ranges::count(value, '.') <= 1 &&
         std::ranges::all_of(value, [](char c) { return is_digit(c) || c == '.' || c == '-'; });
}

// Of quoted text: "port 4711 refused" and "port 4712 refused" are of a kind.
void append_without_digits(std::string& out, std::string_view quoted) {
  for (const char c : quoted) {
    if (!is_digit(c)) {
      out += c;
    } else if (out.empty() || out.back() != '#') {
      out += '#';
    }
  }
}

// The value that begins at `at`: up to the quote that ends it, or to the next blank.
std::size_t end_of_value(std::string_view line, std::size_t at) {
  if (at >= line.size() || line[at] != '"') return std::min(line.find(' ', at), line.size());
  for (++at; at < line.size() && line[at] != '"'; ++at) {
    if (line[at] == '\\') ++at;
  }
  return std::min(at + 1, line.size());
}

// Is standard error the journal? systemd says which file it is.
bool writes_to_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat info {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &info) != 0) return false;
  return fmt::format("{}:{}", info.st_dev, info.st_ino) == stream;
}

// syslog(3)'s priorities.
int priority(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical: return 2;
    case spdlog::level::err: return 3;
    case spdlog::level::warn: return 4;
    case spdlog::level::info: return 6;
    default: return 7;
  }
}

class LimitedSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LimitedSink(bool journal) : journal_(journal) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const LogLimiter::Time now = std::chrono::steady_clock::now();
    for (const LogLimiter::HeldBack& held : limiter_.take_held_back(now)) {
      const std::string text = fmt::format("event=repeated count={} line=\"{}\"", held.count, escaped(held.line));
      write({message.logger_name, spdlog::level::warn, text});
    }
    if (limiter_.admit({message.payload.data(), message.payload.size()}, now)) write(message);
  }
  void flush_() override { std::fflush(stderr); }

 private:
  void write(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    if (journal_) line.append(fmt::format("<{}>", priority(message.level)));
    formatter_->format(message, line);
    std::fwrite(line.data(), 1, line.size(), stderr);  // one call, so that lines of two threads stay whole
  }

  bool journal_;
  LogLimiter limiter_;
};

}  // namespace

std::string log_kind(std::string_view line) {
  std::string kind;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t equals = line.find('=', at);
    const std::size_t value = equals == std::string_view::npos ? line.size() : equals + 1;
    kind.append(line.substr(at, value - at));
    at = end_of_value(line, value);
    const std::string_view found = line.substr(value, at - value);
    if (is_number(found)) {
      kind += '#';
    } else if (found.starts_with('"')) {
      append_without_digits(kind, found);
    } else {
      kind.append(found);
    }
  }
  return kind;
}

bool LogLimiter::admit(std::string_view line, Time now) {
  std::string key = log_kind(line);
  if (kinds_.size() >= kKindsMax && !kinds_.contains(key)) {
    std::erase_if(kinds_, [&](const auto& kind) { return now - kind.second.began >= kWindow; });
    if (kinds_.size() >= kKindsMax) kinds_.clear();
  }
  Kind& kind = kinds_.try_emplace(std::move(key), Kind{now, 0, 0, {}}).first->second;
  if (now - kind.began >= kWindow) kind = Kind{now, 0, 0, {}};
  if (kind.passed < kBurst) {
    ++kind.passed;
    return true;
  }
  if (kind.held_back++ == 0) kind.first = line;
  return false;
}

std::vector<LogLimiter::HeldBack> LogLimiter::take_held_back(Time now) {
  std::vector<HeldBack> found;
  if (now < next_sweep_) return found;
  next_sweep_ = now + std::chrono::seconds(1);
  for (auto at = kinds_.begin(); at != kinds_.end();) {
    if (now - at->second.began < kWindow) {
      ++at;
      continue;
    }
    if (at->second.held_back > 0) found.push_back({std::move(at->second.first), at->second.held_back});
    at = kinds_.erase(at);
  }
  return found;
}

void start_log(bool verbose) {
  const bool journal = writes_to_journal();
  auto logger = std::make_shared<spdlog::logger>("anypop", std::make_shared<LimitedSink>(journal));
  logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      journal ? "level=%l %v" : "time=%Y-%m-%dT%H:%M:%S.%fZ level=%l %v", spdlog::pattern_time_type::utc));
  logger->set_level(verbose ? spdlog::level::debug : spdlog::level::info);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace anypop
