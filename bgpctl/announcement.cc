// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/announcement.h"

#include <algorithm>

#include <absl/strings/ascii.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "shared_file.h"

namespace anypop::bgpctl {
namespace {

constexpr std::string_view kHead =
    R"(# Anypop's announcements at PoP '{0}'. Written by `bgpctl render`: change {1}, not this file.
#
# Include it in bird.conf, and let each BGP protocol towards a router export it:
#
#   include "/etc/bird/anypop.conf";
#   protocol bgp … {{ ipv4 {{ import none; export where proto ~ "anypop_*"; }}; ipv6 {{ … the same … }}; }}
#
# The routes are blackholes: they tell the routers to send traffic here and must not be installed here. Keep them out of
# `protocol kernel`:  export where ! (proto ~ "anypop_*");
#
# Each state file defines which protocols are off (1) or on (0), and is replaced whenever Anypop enables or disables them,
# so that a `configure` or a restart by anybody keeps what was ordered. BIRD does not start while one is missing: run
# `bgpctl init` first. The protocols that end in _drain say the same with GRACEFUL_SHUTDOWN (RFC 8326){2}; where they are
# on, the routers prefer any other PoP.
)";

std::string symbol(std::string_view name) {
  std::string result(name);
  std::replace(result.begin(), result.end(), '-', '_');  // names hold no underscore, so two never become one
  return result;
}

std::string off_constant(const AnnouncementConfig& announcement) {
  std::string upper = symbol(announcement.name);
  absl::AsciiStrToUpper(&upper);
  return fmt::format("ANYPOP_{}_OFF", upper);
}

// Ends in _DRAIN and not in _OFF, so that no other announcement's constant can be the same.
std::string drain_off_constant(const AnnouncementConfig& announcement) { return off_constant(announcement) + "_DRAIN"; }

std::string protocol_name_of(const AnnouncementConfig& announcement, Family family) {
  return fmt::format("anypop_{}_{}", symbol(announcement.name), family == Family::kV4 ? "v4" : "v6");
}

std::vector<Family> families_of(const AnnouncementConfig& announcement) {
  std::vector<Family> result;
  for (const Family family : {Family::kV4, Family::kV6}) {
    if (std::any_of(announcement.prefixes.begin(), announcement.prefixes.end(),
                    [&](const IpPrefix& prefix) { return prefix.family() == family; })) {
      result.push_back(family);
    }
  }
  return result;
}

std::string routes(const AnnouncementConfig& announcement, Family family) {
  std::string text;
  for (const IpPrefix& prefix : announcement.prefixes) {
    if (prefix.family() == family) text += fmt::format("  route {} blackhole;\n", prefix.to_string());
  }
  return text;
}

std::string render_protocol(const AnnouncementConfig& announcement, Family family) {
  return fmt::format("\nprotocol static {} {{\n  disabled {};\n  {} {{ preference 200; }};\n{}}}\n",
                     protocol_name_of(announcement, family), off_constant(announcement),
                     family == Family::kV4 ? "ipv4" : "ipv6", routes(announcement, family));
}

// Constants only: how a function's return type is written differs between the versions of BIRD.
std::string render_drain(const PopConfig& config, const AnnouncementConfig& announcement, Family family) {
  std::string marks = "bgp_community.add((65535,0));";
  const std::uint32_t local_as = config.bird_of(family).local_as;
  for (unsigned i = 0; local_as != 0 && i < announcement.drain.prepend; ++i) {
    marks += fmt::format(" bgp_path.prepend({});", local_as);
  }
  return fmt::format(
      "\nprotocol static {}_drain {{\n  disabled {};\n  {} {{ preference 210; import filter {{ {} accept; }}; "
      "}};\n{}}}\n",
      protocol_name_of(announcement, family), drain_off_constant(announcement), family == Family::kV4 ? "ipv4" : "ipv6",
      marks, routes(announcement, family));
}

// What a version that knew no drain wrote.
std::string old_state_file_text(const AnnouncementConfig& announcement, Level level) {
  return fmt::format("define {} = {};\n", off_constant(announcement), level == Level::kWithdrawn ? 1 : 0);
}

}  // namespace

std::vector<std::string> protocol_names(const AnnouncementConfig& announcement) {
  std::vector<std::string> names;
  for (const Family family : families_of(announcement)) names.push_back(protocol_name_of(announcement, family));
  return names;
}

std::vector<std::string> drain_protocol_names(const AnnouncementConfig& announcement) {
  std::vector<std::string> names = protocol_names(announcement);
  for (std::string& name : names) name += "_drain";
  return names;
}

std::string LevelCommand::line() const { return fmt::format("{} \"{}\"", enable ? "enable" : "disable", protocol); }

std::vector<LevelCommand> commands_for(const AnnouncementConfig& announcement, Level level) {
  std::vector<LevelCommand> commands;
  const auto add = [&](bool drain, bool enable) {
    for (const Family family : families_of(announcement)) {
      commands.push_back({protocol_name_of(announcement, family) + (drain ? "_drain" : ""), enable, drain, family});
    }
  };
  switch (level) {
    case Level::kWithdrawn: add(false, false), add(true, false); break;
    case Level::kDrained: add(true, true), add(false, true); break;
    case Level::kAnnounced: add(false, true), add(true, false); break;
  }
  return commands;
}

std::string render_bird_config(const PopConfig& config, const std::vector<Family>& families) {
  const bool prepends = std::any_of(families.begin(), families.end(),
                                    [&](Family family) { return config.bird_of(family).local_as != 0; });
  std::string text =
      fmt::format(kHead, config.pop, config.file.empty() ? std::string("pop.yaml") : config.file.string(),
                  !prepends ? ", and with prepends if pop.yaml has bird.local_as" : " and prepends");
  for (const AnnouncementConfig& announcement : config.announcements) {
    std::vector<Family> wanted = families_of(announcement);
    std::erase_if(wanted,
                  [&](Family family) { return std::find(families.begin(), families.end(), family) == families.end(); });
    if (wanted.empty()) continue;
    text += fmt::format("\ninclude \"{}\";\n", state_file_path(config, announcement).string());
    for (const Family family : wanted) {
      text += render_protocol(announcement, family) + render_drain(config, announcement, family);
    }
  }
  return text;
}

std::filesystem::path state_file_path(const PopConfig& config, const AnnouncementConfig& announcement) {
  return config.bird_state_dir() / (announcement.name + ".conf");
}

std::string state_file_text(const AnnouncementConfig& announcement, Level level) {
  return fmt::format("define {} = {};\ndefine {} = {};\n", off_constant(announcement),
                     level == Level::kWithdrawn ? 1 : 0, drain_off_constant(announcement),
                     level == Level::kDrained ? 0 : 1);
}

absl::StatusOr<Level> read_state_file(const PopConfig& config, const AnnouncementConfig& announcement) {
  const std::filesystem::path path = state_file_path(config, announcement);
  const absl::StatusOr<std::string> text = read_file(path);
  if (!text.ok()) return text.status();
  for (const Level level : {Level::kWithdrawn, Level::kAnnounced, Level::kDrained}) {
    if (*text == state_file_text(announcement, level)) return level;
  }
  for (const Level level : {Level::kWithdrawn, Level::kAnnounced}) {
    if (*text == old_state_file_text(announcement, level)) return level;
  }
  return invalid_argument("{}: found '{}', expected 'define {} = 0;' or 1, and the same for {}", path.string(),
                          escaped(text->substr(0, 80)), off_constant(announcement), drain_off_constant(announcement));
}

absl::Status write_state_file(const PopConfig& config, const AnnouncementConfig& announcement, Level level) {
  if (absl::Status folder = make_shared_folder(config.bird_state_dir()); !folder.ok()) return folder;
  const std::filesystem::path path = state_file_path(config, announcement);
  const std::string text = state_file_text(announcement, level);
  if (const absl::StatusOr<std::string> there = read_file(path); there.ok() && *there == text) return absl::OkStatus();
  return write_file_atomically(path, text);
}

absl::Status create_missing_state_files(const PopConfig& config) {
  if (absl::Status folder = make_shared_folder(config.bird_state_dir()); !folder.ok()) return folder;
  for (const AnnouncementConfig& announcement : config.announcements) {
    const absl::StatusOr<Level> there = read_state_file(config, announcement);
    if (!there.ok() && !absl::IsNotFound(there.status())) continue;
    const Level level = there.ok() ? *there : Level::kWithdrawn;
    if (absl::Status written = write_state_file(config, announcement, level); !written.ok()) return written;
  }
  return absl::OkStatus();
}

}  // namespace anypop::bgpctl
