// SPDX-License-Identifier: Apache-2.0
// The source addresses that are kept for the monitor's probes through the data path. Each names a backend of the
// service that the packet is for. Monitor and dataplane work them out from the same configuration, without talking.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/config.h"

namespace anypop {

// How many backends a service may have with probe sources from `prefix`. Its first address is nobody's, nor is, in
// IPv4, its last one.
std::uint64_t probe_source_count(const IpPrefix& prefix);

// One address for each of `backends`, in their order. It comes from the backend's name, so that adding or removing
// others rarely changes it: monitor and dataplane do not reload at the same instant. Precondition: they fit.
std::vector<IpAddress> probe_sources(const IpPrefix& prefix, const std::vector<BackendConfig>& backends);

// The prefix of this family; nullptr: none is configured.
const IpPrefix* find_probe_prefix(const std::vector<IpPrefix>& prefixes, Family family);

}  // namespace anypop
