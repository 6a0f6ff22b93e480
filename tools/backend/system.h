// SPDX-License-Identifier: Apache-2.0
// What the agent can see and change of the kernel it runs on. The real one is kernel.cc; tests have a model.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/address.h"
#include "bpf/verdicts.h"
#include "wish.h"

namespace anypop::backend {

struct InterfaceAddress {
  std::string interface;
  IpAddress address;
};

// A VIP on a device: an address if it is one, else a local route (every address of the prefix is the server's own).
struct Vip {
  IpPrefix prefix;
  std::string device;
  friend auto operator<=>(const Vip&, const Vip&) = default;
};

// The place of our program at an interface's ingress.
struct Hook {
  bool has_qdisc = false;  // clsact, whoever made it
  bool ours = false;       // our program is there
  std::string other;       // somebody else's program at our place, by name; empty: none
};

using Counters = std::array<std::uint64_t, DECAP_VERDICTS>;  // packets, by enum decap_verdict

// Errors name the interface, address or sysctl.
class System {
 public:
  virtual ~System() = default;

  virtual absl::StatusOr<std::vector<InterfaceAddress>> addresses() = 0;
  virtual absl::StatusOr<bool> has_vip(const Vip& vip) = 0;
  virtual absl::Status add_vip(const Vip& vip) = 0;
  virtual absl::Status remove_vip(const Vip& vip) = 0;  // NotFound: it was not there

  // `name` as below /proc/sys: "net/ipv4/conf/all/arp_ignore". Values without the newline.
  virtual absl::StatusOr<std::string> sysctl(const std::string& name) = 0;
  virtual absl::Status set_sysctl(const std::string& name, const std::string& value) = 0;

  virtual absl::StatusOr<Hook> hook(const std::string& interface) = 0;  // NotFound: no such interface
  // Puts our program there, in place of an older one of ours in one step; its counters go on.
  virtual absl::Status attach(const std::string& interface, const Wish& wish) = 0;
  // NotFound: our program is not there. `qdisc_too`: clsact as well, unless somebody else uses it.
  virtual absl::Status detach(const std::string& interface, bool qdisc_too) = 0;
  virtual absl::StatusOr<Counters> counters(const std::string& interface) = 0;
};

}  // namespace anypop::backend
