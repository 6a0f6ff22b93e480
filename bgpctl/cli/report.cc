// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <cstdio>
#include <utility>

#include <boost/json/serialize.hpp>

#include "base/text.h"
#include "status.h"

namespace anypop::bgpctl {

namespace json = boost::json;

Report::Report(const PopConfig& config, const Order& order)
    : log_(config.event_log(), "bgpctl"),
      json_(order.json),
      who_(order.who),
      cause_(order.reason.empty() ? fmt::format("ordered by {}", order.who) : order.reason) {
  if (!order.config_trouble.empty()) warnings_.emplace_back(order.config_trouble);
}

void Report::good(const std::string& announcement, std::string_view text, json::object more) {
  if (!json_) fmt::print("{}: {}\n", announcement, text);
  add(announcement, true, text, std::move(more));
}

void Report::bad(const std::string& announcement, std::string_view text, json::object more) {
  if (!json_) fmt::print(stderr, "bgpctl: {}: {}\n", announcement, text);
  add(announcement, false, text, std::move(more));
}

void Report::add(const std::string& announcement, bool ok, std::string_view text, json::object more) {
  if (!ok) failed_ = true;
  more["name"] = announcement;
  more["ok"] = ok;
  more["message"] = std::string(text);
  more["elapsed_ms"] = elapsed_ms();
  results_.push_back(std::move(more));
}

void Report::warn(std::string_view text) {
  if (!json_) fmt::print(stderr, "bgpctl: warning: {}\n", text);
  warnings_.emplace_back(std::string(text));
}

void Report::note(const std::string& announcement, std::string_view text) {
  progress(announcement, text);
  notes_.push_back(json::object{{"name", announcement}, {"message", std::string(text)}});
}

void Report::progress(const std::string& announcement, std::string_view text) {
  if (json_) return;
  fmt::print("{}: {}\n", announcement, text);
  std::fflush(stdout);
}

int Report::finish() {
  if (json_) {
    const json::object all{{"ok", !failed_}, {"announcements", results_}, {"warnings", warnings_}, {"notes", notes_}};
    fmt::print("{}\n", json::serialize(all));
  }
  return failed_ ? 1 : 0;
}

void Report::log(const json::object& event) {
  const absl::Status status = log_.append(event);
  if (!status.ok() && !std::exchange(log_failed_, true)) {
    warn(fmt::format("the event log does not hold this: {}", message(status)));
  }
}

void Report::log_hold(const std::string& announcement, const Hold& hold) {
  json::object event{{"event", "hold"}, {"announcement", announcement}};
  for (const auto& [key, value] : hold_json(hold)) event[key] = value;
  log(event);
}

void Report::log_release(const std::string& announcement, const Hold& hold, const std::string& who) {
  json::object event{{"event", "release"}, {"announcement", announcement}};
  for (const auto& [key, value] : hold_json(hold)) event[key] = value;
  event["placed_by"] = hold.who;
  event["who"] = who;
  log(event);
}

void Report::log_command(const std::string& announcement, Level level, const SetResult& result) {
  json::array commands;
  for (const std::string& command : result.commands) commands.emplace_back(command);
  log({{"event", "command"},
       {"announcement", announcement},
       {"announce", level != Level::kWithdrawn},
       {"level", std::string(level_name(level))},
       {"who", who_},
       {"cause", cause_},
       {"started_unix_ns", result.started_unix_ns},
       {"sent_unix_ns", result.sent_unix_ns},
       {"replied_unix_ns", result.replied_unix_ns},
       {"commands", commands},
       {"ok", result.status.ok()},
       {"error", std::string(message(result.status))}});
}

void Report::log_drain(const std::string& announcement, const std::string& ended, double waited_s,
                       const json::value& pps) {
  log({{"event", "drain"},
       {"announcement", announcement},
       {"who", who_},
       {"cause", cause_},
       {"ended", ended},
       {"waited_s", waited_s},
       {"pps", pps}});
}

double Report::elapsed_ms() const {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
}

}  // namespace anypop::bgpctl
