// SPDX-License-Identifier: Apache-2.0
// Rules that need the whole configuration: what must be unique, what must match, what must exist. Private to base.
#pragma once

#include <vector>

#include <yaml-cpp/yaml.h>

#include "base/config.h"
#include "yaml_reader.h"

namespace anypop {

// Where each element of the configuration stood, for messages about it.
struct ConfigMarks {
  struct Service {
    YAML::Mark mark;
    std::vector<YAML::Mark> backends;
  };
  std::vector<YAML::Mark> ports;
  YAML::Mark probe_sources = YAML::Mark::null_mark();
  std::vector<Service> services;
  std::vector<YAML::Mark> announcements;
  std::vector<YAML::Mark> birds;  // empty: the file has no list of them
};

// Reports the first broken rule to `errors`, and fills in what the file may leave out (probe ports, services of an
// announcement).
void check_config(PopConfig& config, const ConfigMarks& marks, ConfigErrors& errors);

}  // namespace anypop
