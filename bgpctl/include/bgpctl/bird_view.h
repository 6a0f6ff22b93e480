// SPDX-License-Identifier: Apache-2.0
// What one BIRD said about itself, read over its control socket: the third of the three facts intended, in the table,
// exported.
#pragma once

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
  std::map<IpPrefix, std::string> prefixes;  // what BIRD sends to this peer now, and by which protocol
};

struct BirdView {
  std::string version;                                // "2.0.12"
  std::string last_reboot;                            // as BIRD words it; differs after a restart
  std::string last_reconfiguration;                   // differs after anybody's configure
  std::map<std::string, BirdProtocol> protocols;      // by name: all of them
  std::map<std::string, BirdSessionExport> sessions;  // by name of the BGP protocol
};

}  // namespace anypop::bgpctl
