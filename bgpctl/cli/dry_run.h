// SPDX-License-Identifier: Apache-2.0
// What --dry-run tells: the steps of an order that is not carried out, for people or as one JSON object.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "actions.h"
#include "base/config.h"
#include "bgpctl/holds.h"
#include "bgpctl/level.h"

namespace anypop::bgpctl {

class DryRun {
 public:
  DryRun(const PopConfig& config, const Order& order) : config_(config), json_(order.json) {}

  void hold(const AnnouncementConfig& announcement, const Hold& hold);
  // State file and commands.
  void set(const AnnouncementConfig& announcement, Level level);
  void remove(const AnnouncementConfig& announcement, const std::filesystem::path& file, std::string_view what);
  // Anything else, as a sentence.
  void say(const AnnouncementConfig& announcement, std::string_view text);
  // Prints the JSON object if that was asked for. The exit code.
  int finish();

 private:
  void step(const AnnouncementConfig& announcement, std::string_view text, boost::json::object step);

  const PopConfig& config_;
  bool json_;
  boost::json::array steps_;
};

}  // namespace anypop::bgpctl
