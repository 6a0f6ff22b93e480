// SPDX-License-Identifier: Apache-2.0
// `quic` of a service and `server_id` of a backend. Private to base.
#pragma once

#include <cstddef>

#include "base/config.h"
#include "config_check.h"
#include "yaml_reader.h"

namespace anypop {

void read_quic(YamlMap& map, ServiceConfig& service);
void read_server_ids(YamlMap& map, BackendConfig& backend);
void check_quic(const ServiceConfig& service, std::size_t index, const ConfigMarks::Service& marks,
                ConfigErrors& errors);

}  // namespace anypop
