// SPDX-License-Identifier: Apache-2.0
// What is measured: one case is one kind of traffic through one configuration in one situation.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "l4lb/verdict.h"
#include "l4lb_bench/traffic.h"

namespace anypop::bench {

enum class Situation : std::uint8_t {
  kSteady,  // nothing has changed
  kFresh,   // every packet belongs to a flow that has not been before
  kNoVip,   // the packets are for nobody here
  kNobody,  // no backend is healthy
  kNoMac,   // no next hop is resolved
};
std::string_view situation_name(Situation situation);

struct Case {
  std::string group;  // what it is compared with: one table each
  std::string name;   // within the group
  l4lb_bench::TrafficOptions traffic;
  l4lb_bench::ServiceOptions services;  // its family, number and protocol follow `traffic`
  Situation situation = Situation::kSteady;
  bool change = false;  // the first backend of each service has just failed
};
l4lb::Verdict expected_verdict(const Case& one);

// quick: about 20 seconds in all; full: every combination that the performance page shows, minutes and up to 2 GB.
std::vector<Case> make_cases(bool full);

}  // namespace anypop::bench
