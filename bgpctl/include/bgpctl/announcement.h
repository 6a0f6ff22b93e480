// SPDX-License-Identifier: Apache-2.0
// How an announcement of pop.yaml appears in BIRD: one static protocol a family, switched by a constant that a state
// file defines, because a bare `disable` is undone by anybody's `configure`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/config.h"

namespace anypop::bgpctl {

// "anypop_web_v4", "anypop_web_v6": the static protocols of an announcement, one for each family among its prefixes.
std::vector<std::string> protocol_names(const AnnouncementConfig& announcement);

// The BIRD configuration that serves these announcements: the includes of the state files and the static protocols. To
// be included by bird.conf. The same text for the same configuration, byte for byte.
std::string render_bird_config(const PopConfig& config);

// bird_state_dir()/web.conf: one line that BIRD includes.
std::filesystem::path state_file_path(const PopConfig& config, const AnnouncementConfig& announcement);
std::string state_file_text(const AnnouncementConfig& announcement, bool announced);

// What the state file says. NotFound: there is none; InvalidArgument: it is not ours.
absl::StatusOr<bool> read_state_file(const PopConfig& config, const AnnouncementConfig& announcement);
absl::Status write_state_file(const PopConfig& config, const AnnouncementConfig& announcement, bool announced);

// Creates the state folder and every state file that is missing, as "withdrawn": before BIRD's first start after a
// boot, so that nothing is announced before it has been checked. Keeps what is there.
absl::Status create_missing_state_files(const PopConfig& config);

}  // namespace anypop::bgpctl
