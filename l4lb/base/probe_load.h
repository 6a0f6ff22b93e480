// SPDX-License-Identifier: Apache-2.0
// The probes of a service, read from pop.yaml and checked. Private to base.
#pragma once

#include <cstddef>

#include "base/config.h"
#include "yaml_reader.h"

namespace anypop {

// `probe`, or `probes` and `combine`.
void read_probes(YamlMap& map, ServiceConfig& service);
// Fills in ports and names. `sources` are the reserved ones of probes through the data path.
void check_probes(ServiceConfig& service, std::size_t index, const std::vector<IpPrefix>& sources,
                  const YAML::Mark& mark, ConfigErrors& errors);

}  // namespace anypop
