// SPDX-License-Identifier: Apache-2.0
// What an action tells: people read a line for each announcement, machines one JSON object at the end; the event log
// gets its lines either way.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "actions.h"
#include "base/config.h"
#include "bgpctl/announcer.h"
#include "bgpctl/event_log.h"
#include "bgpctl/holds.h"

namespace anypop::bgpctl {

class Report {
 public:
  Report(const PopConfig& config, const Order& order);

  // The result for one announcement: to stdout if good, to stderr if not.
  void good(const std::string& announcement, std::string_view text, boost::json::object more = {});
  void bad(const std::string& announcement, std::string_view text, boost::json::object more = {});
  void warn(std::string_view text);
  // What else came of the order, beside its result.
  void note(const std::string& announcement, std::string_view text);
  // Not the result yet: for people only.
  void progress(const std::string& announcement, std::string_view text);
  // Prints the JSON object if that was asked for. The exit code.
  int finish();

  // The event log. That it cannot be written is a warning, said once: the order matters more.
  void log_hold(const std::string& announcement, const Hold& hold);
  void log_release(const std::string& announcement, const Hold& hold, const std::string& who);
  void log_command(const std::string& announcement, Level level, const SetResult& result);

  void log_drain(const std::string& announcement, const std::string& ended, double waited_s,
                 const boost::json::value& pps);

  double elapsed_ms() const;

 private:
  void add(const std::string& announcement, bool ok, std::string_view text, boost::json::object more);
  void log(const boost::json::object& event);

  EventLog log_;
  bool json_;
  std::string who_;
  std::string cause_;
  bool failed_ = false;
  bool log_failed_ = false;
  boost::json::array results_;
  boost::json::array warnings_;
  boost::json::array notes_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace anypop::bgpctl
