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

// What has just changed in each service's pool. Flows of the slots that moved are looked up while their window is open,
// if their previous owner lives.
enum class Change : std::uint8_t {
  kNone,
  kFailure,   // the first backend has failed: few slots move from one living backend to another
  kReturn,    // it has come back: as many slots as it has
  kEveryone,  // one half of the pool drains, the other half takes over: every slot
};
std::string_view change_name(Change change);

struct Case {
  std::string group;  // what it is compared with: one table each
  std::string name;   // within the group
  l4lb_bench::TrafficOptions traffic;
  l4lb_bench::ServiceOptions services;  // its family, number and protocol follow `traffic`
  Situation situation = Situation::kSteady;
  Change change = Change::kNone;
  bool by_stage = false;  // say how long each stage takes, too
};
l4lb::Verdict expected_verdict(const Case& one);
// The same under another name?
bool same_but_name(const Case& a, const Case& b);

// quick: about half a minute in all; full: every combination that the performance page shows, minutes and up to 2 GB.
std::vector<Case> make_cases(bool full);

}  // namespace anypop::bench
