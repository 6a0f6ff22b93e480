// SPDX-License-Identifier: Apache-2.0
// How an announcement of pop.yaml appears in BIRD: two static protocols a family, the second one preferred and carrying
// the marks of a drain. Constants in a state file switch them, because a bare `disable` is undone by anybody's
// `configure`.
//
//   level       normal protocol   drain protocol   what the routers see
//   announced   up                down             the plain route
//   drained     up                up               one replacing update: GRACEFUL_SHUTDOWN and prepends
//   withdrawn   down              down             nothing
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/config.h"
#include "bgpctl/level.h"

namespace anypop::bgpctl {

// "anypop_web_v4", "anypop_web_v6": the static protocols of an announcement, one for each family among its prefixes.
std::vector<std::string> protocol_names(const AnnouncementConfig& announcement);
// "anypop_web_v4_drain", "anypop_web_v6_drain". No other announcement can have these names: theirs end in a family.
std::vector<std::string> drain_protocol_names(const AnnouncementConfig& announcement);

// A command that is a part of bringing an announcement to a level.
struct LevelCommand {
  std::string protocol;
  bool enable = false;
  bool drain = false;  // its drain protocol
  Family family = Family::kV4;
  std::string line() const;
};
// In the order in which no step shows the routers a level between the old one and the new one: up before down, except
// that a withdrawal takes the normal route first, so that it never replaces the drained one for a moment.
std::vector<LevelCommand> commands_for(const AnnouncementConfig& announcement, Level level);

// The BIRD configuration that serves these announcements: the includes of the state files and the static protocols. To
// be included by bird.conf. Only what is of `families`, for a BIRD that has one of them. The same text for the same
// configuration, byte for byte.
std::string render_bird_config(const PopConfig& config,
                               const std::vector<Family>& families = {Family::kV4, Family::kV6});

// bird_state_dir()/web.conf: two lines that BIRD includes. One file for both protocols, so that no reader ever sees one
// of them changed without the other.
std::filesystem::path state_file_path(const PopConfig& config, const AnnouncementConfig& announcement);
std::string state_file_text(const AnnouncementConfig& announcement, Level level);

// What the state file says. NotFound: there is none; InvalidArgument: it is not ours.
absl::StatusOr<Level> read_state_file(const PopConfig& config, const AnnouncementConfig& announcement);
// Leaves a file that says so already as it is.
absl::Status write_state_file(const PopConfig& config, const AnnouncementConfig& announcement, Level level);

// Creates the state folder and every state file that is missing, as "withdrawn": before BIRD's first start after a
// boot, so that nothing is announced before it has been checked. Keeps the level of what is there, and completes files
// of a version that knew no drain.
absl::Status create_missing_state_files(const PopConfig& config);

}  // namespace anypop::bgpctl
