// SPDX-License-Identifier: Apache-2.0
// What BIRD still announces and pop.yaml has no more: renamed or removed, by a reload or while no monitor ran. A
// protocol with a name of ours is ours, so its announcement is withdrawn, again and again until BIRD has confirmed it.
// Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/json/array.hpp>

#include "healthmon/monitor_core.h"

namespace anypop::healthmon {

class Strangers {
 public:
  // A reload has taken it out of the configuration.
  void add(const AnnouncementConfig& gone, Actions& actions);
  // After a reload: what has come back is a stranger no more.
  void forget_known(const PopConfig& config);
  // After every look. `files`: see MonitorCore::on_leftover_files(). `complete`: every BIRD has told.
  void on_look(const PopConfig& config, const std::vector<std::string>& files,
               const absl::StatusOr<bgpctl::BirdView>& view, bool complete, Now now, Actions& actions);
  void on_set(const std::string& name, const bgpctl::SetResult& result, Now now, Actions& actions);

  boost::json::array json() const;
  std::size_t count() const { return strangers_.size() + leftovers_.size(); }

 private:
  struct Stranger {
    AnnouncementConfig announcement;  // its name, and a prefix of each family that it is known to have
    std::vector<std::string> up;      // its protocols, as BIRD said last
    bool in_file = false;             // its state file would bring it back
    bool ordered = false;             // by a reload, so that it is no drift
    bool pending = false;             // a command is under way
    SteadyTime retry_at = SteadyTime::min();
    std::optional<std::string> recorded;  // error of the last command in the event log
    bool drift_recorded = false;
  };

  void take_protocols(const PopConfig& config, const bgpctl::BirdView& view, Actions& actions);
  static void withdraw(Stranger& stranger, const AnnouncementConfig& what, Actions& actions);
  static std::string cause(const Stranger& stranger);

  std::map<std::string, Stranger> strangers_;  // by name
  std::set<std::string> leftovers_;            // protocols that are up, of a family that their announcement has no more
};

}  // namespace anypop::healthmon
