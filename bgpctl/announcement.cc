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
# Each state file holds one line, `define ANYPOP_…_OFF = 1;` (withdrawn) or 0 (announced), and is replaced whenever Anypop
# enables or disables the protocols, so that a `configure` or a restart by anybody keeps what was ordered. BIRD does not
# start while one is missing: run `bgpctl init` first.
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

std::string protocol_name_of(const AnnouncementConfig& announcement, Family family) {
  return fmt::format("anypop_{}_{}", symbol(announcement.name), family == Family::kV4 ? "v4" : "v6");
}

std::vector<Family> families(const AnnouncementConfig& announcement) {
  std::vector<Family> result;
  for (const Family family : {Family::kV4, Family::kV6}) {
    if (std::any_of(announcement.prefixes.begin(), announcement.prefixes.end(),
                    [&](const IpPrefix& prefix) { return prefix.family() == family; })) {
      result.push_back(family);
    }
  }
  return result;
}

std::string render_protocol(const AnnouncementConfig& announcement, Family family) {
  std::string text = fmt::format("\nprotocol static {} {{\n  disabled {};\n  {} {{ preference 200; }};\n",
                                 protocol_name_of(announcement, family), off_constant(announcement),
                                 family == Family::kV4 ? "ipv4" : "ipv6");
  for (const IpPrefix& prefix : announcement.prefixes) {
    if (prefix.family() == family) text += fmt::format("  route {} blackhole;\n", prefix.to_string());
  }
  return text + "}\n";
}

}  // namespace

std::vector<std::string> protocol_names(const AnnouncementConfig& announcement) {
  std::vector<std::string> names;
  for (const Family family : families(announcement)) names.push_back(protocol_name_of(announcement, family));
  return names;
}

std::string render_bird_config(const PopConfig& config) {
  std::string text =
      fmt::format(kHead, config.pop, config.file.empty() ? std::string("pop.yaml") : config.file.string());
  for (const AnnouncementConfig& announcement : config.announcements) {
    text += fmt::format("\ninclude \"{}\";\n", state_file_path(config, announcement).string());
    for (const Family family : families(announcement)) text += render_protocol(announcement, family);
  }
  return text;
}

std::filesystem::path state_file_path(const PopConfig& config, const AnnouncementConfig& announcement) {
  return config.bird_state_dir() / (announcement.name + ".conf");
}

std::string state_file_text(const AnnouncementConfig& announcement, bool announced) {
  return fmt::format("define {} = {};\n", off_constant(announcement), announced ? 0 : 1);
}

absl::StatusOr<bool> read_state_file(const PopConfig& config, const AnnouncementConfig& announcement) {
  const std::filesystem::path path = state_file_path(config, announcement);
  const absl::StatusOr<std::string> text = read_file(path);
  if (!text.ok()) return text.status();
  if (*text == state_file_text(announcement, true)) return true;
  if (*text == state_file_text(announcement, false)) return false;
  return invalid_argument("{}: found '{}', expected 'define {} = 0;' or 1", path.string(), escaped(text->substr(0, 80)),
                          off_constant(announcement));
}

absl::Status write_state_file(const PopConfig& config, const AnnouncementConfig& announcement, bool announced) {
  if (absl::Status folder = make_shared_folder(config.bird_state_dir()); !folder.ok()) return folder;
  return write_file_atomically(state_file_path(config, announcement), state_file_text(announcement, announced));
}

absl::Status create_missing_state_files(const PopConfig& config) {
  if (absl::Status folder = make_shared_folder(config.bird_state_dir()); !folder.ok()) return folder;
  for (const AnnouncementConfig& announcement : config.announcements) {
    const absl::StatusOr<bool> there = read_state_file(config, announcement);
    if (!absl::IsNotFound(there.status())) continue;
    if (absl::Status written = write_state_file(config, announcement, false); !written.ok()) return written;
  }
  return absl::OkStatus();
}

}  // namespace anypop::bgpctl
