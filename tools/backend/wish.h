// SPDX-License-Identifier: Apache-2.0
// What a server needs to be a backend: from flags, or from the PoP's configuration. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/address.h"
#include "base/config.h"

namespace anypop::backend {

struct Wish {
  std::string device = "lo";            // bears the VIPs
  std::vector<IpPrefix> vips;           // what this server answers for
  std::vector<IpAddress> addresses;     // this server's own: where packets and tunnels end
  std::vector<std::string> interfaces;  // where they arrive; empty: those that have an address of `addresses`
  std::vector<IpPrefix> sources;        // whose tunnels are trusted; empty: anybody's
  std::vector<std::uint16_t> gue_ports;
  bool ipip = false;
  bool gre = false;
  bool gue = false;

  bool tunnels() const { return ipip || gre || gue; }
  bool has_ipv4_vip() const;
  friend bool operator==(const Wish&, const Wish&) = default;
};

// What every service with a backend of this name needs of it. InvalidArgument names the file and the backends that
// there are.
absl::StatusOr<Wish> wish_from_config(const PopConfig& config, std::string_view backend);

// "ipip,gre", or "l2" for no tunnel. InvalidArgument names what is unknown.
absl::Status add_encapsulations(std::string_view text, Wish& wish);

// Sorted, each once, and complete enough to be installed. InvalidArgument says what is missing.
absl::Status finish(Wish& wish);

// "l2", or the tunnels: "ipip, gre".
std::string encapsulation_names(const Wish& wish);

}  // namespace anypop::backend
