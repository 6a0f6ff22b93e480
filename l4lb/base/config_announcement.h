// SPDX-License-Identifier: Apache-2.0
// The keys of announcements and of the BIRDs that announce them, and the rules for both. Private to base.
#pragma once

#include "base/config.h"
#include "config_check.h"
#include "yaml_reader.h"

namespace anypop {

void read_announcement(YamlMap& map, AnnouncementConfig& announcement);
// `bird`, or `birds`.
void read_birds(YamlMap& map, PopConfig& config, ConfigMarks& marks);

// Fills in the services that the file leaves out.
void check_announcements(PopConfig& config, const ConfigMarks& marks, ConfigErrors& errors);
void check_birds(const PopConfig& config, const ConfigMarks& marks, ConfigErrors& errors);

}  // namespace anypop
