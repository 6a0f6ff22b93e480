// SPDX-License-Identifier: Apache-2.0
// What BIRD said about itself, read over its control socket: the third of the three facts intended, in the table,
// exported. A PoP may have a BIRD for each family; then this is what both said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/address.h"

namespace anypop::bgpctl {

struct BirdProtocol {
  std::string kind;   // "Static", "BGP", …
  std::string state;  // "up", "start", "stop", "down", "flush"
  std::string info;   // BGP: "Established", "Active", "Idle …"; else empty
};

struct BirdSessionExport {
  bool established = false;
  std::map<IpPrefix, std::string> prefixes;                // what BIRD sends to this peer now, and by which protocol
  std::vector<Family> families{Family::kV4, Family::kV6};  // of the BIRD that it belongs to
};

// One of a PoP's BIRDs.
struct BirdInstance {
  std::string socket;
  std::vector<Family> families;
  std::string error;  // empty: it answered
  std::string version;
  // As BIRD words them. It reckons the last two back from the first, so that they move when the clock is set.
  std::string server_time;
  std::string last_reboot;           // differs after a restart
  std::string last_reconfiguration;  // differs after anybody's configure
};

struct BirdView {
  std::string version;                                // "2.0.12"
  std::string server_time;                            // this and the next two: see BirdInstance
  std::string last_reboot;                            // differs after a restart
  std::string last_reconfiguration;                   // differs after anybody's configure
  std::map<std::string, BirdProtocol> protocols;      // by name: all of them
  std::map<std::string, BirdSessionExport> sessions;  // by name of the BGP protocol; "v4/NAME" if there are two BIRDs
  // Prefixes of announcements with keep_last: how many routes BIRD has by BGP that are not marked as drained.
  std::map<IpPrefix, std::size_t> others;
  std::vector<BirdInstance> instances;  // as in PopConfig::birds
  std::vector<Family> missing;          // whose BIRD did not answer: nothing is known of their protocols
};

}  // namespace anypop::bgpctl
