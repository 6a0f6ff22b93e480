// SPDX-License-Identifier: Apache-2.0
// What has changed of BIRD from one look to the next, as lines of the event log: it is gone or back, it was restarted,
// somebody ran `configure`, a BGP session went up or down. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "healthmon/monitor_core.h"

namespace anypop::healthmon {

// Why BIRD, or one of them, does not answer; empty: it does.
std::string bird_problem(const absl::StatusOr<bgpctl::BirdView>& view);

class BirdEvents {
 public:
  void on_look(const absl::StatusOr<bgpctl::BirdView>& view, Now now, Actions& actions);

 private:
  // One of the PoP's BIRDs.
  struct Instance {
    bgpctl::BirdInstance told;
    SteadyTime looked_at;
    std::uint64_t configures = 0;  // seen and not written down yet
    SteadyTime quiet_until = SteadyTime::min();
  };

  void on_instance(const bgpctl::BirdInstance& found, const bgpctl::BirdView& view, Now now, Actions& actions);
  // A session does not outlive its BIRD, however soon it is back.
  void on_restart(const bgpctl::BirdInstance& found, const bgpctl::BirdView& view, Actions& actions);
  void on_sessions(const bgpctl::BirdView& view, bool complete, Actions& actions);

  bool asked_ = false;
  std::string problem_;
  std::map<std::string, Instance> instances_;  // by socket
  bool sessions_known_ = false;
  std::map<std::string, bool> sessions_;  // established
};

}  // namespace anypop::healthmon
