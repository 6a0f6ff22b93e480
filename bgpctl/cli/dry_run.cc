// SPDX-License-Identifier: Apache-2.0
#include "dry_run.h"

#include <cstdio>
#include <utility>

#include <boost/json/serialize.hpp>

#include "base/text.h"
#include "bgpctl/announcement.h"
#include "steps.h"

namespace anypop::bgpctl {

namespace json = boost::json;

void DryRun::hold(const AnnouncementConfig& announcement, const Hold& hold) {
  const std::string file = hold_file(config_, announcement).string();
  const std::string text = json::serialize(hold_json(hold));
  step(announcement, fmt::format("would write {}: {}", file, text), {{"write", file}, {"text", text + "\n"}});
}

void DryRun::set(const AnnouncementConfig& announcement, Level level) {
  const std::string file = state_file_path(config_, announcement).string();
  std::string text = state_file_text(announcement, level);
  json::object write{{"write", file}, {"text", text}};
  if (text.ends_with('\n')) text.pop_back();
  step(announcement, fmt::format("would write {}:\n{}", file, text), std::move(write));
  for (const LevelCommand& command : commands_for(announcement, level)) {
    const std::string& socket = config_.bird_of(command.family).socket;
    step(announcement, fmt::format("would send to {}: {}", socket, command.line()),
         {{"send", command.line()}, {"to", socket}});
  }
}

void DryRun::remove(const AnnouncementConfig& announcement, const std::filesystem::path& file, std::string_view what) {
  step(announcement, fmt::format("would remove {}{}", file.string(), what), {{"remove", file.string()}});
}

void DryRun::say(const AnnouncementConfig& announcement, std::string_view text) {
  step(announcement, text, {{"then", std::string(text)}});
}

void DryRun::step(const AnnouncementConfig& announcement, std::string_view text, json::object step) {
  if (!json_) fmt::print("{}\n", text);
  step["name"] = announcement.name;
  steps_.push_back(std::move(step));
}

int DryRun::finish() {
  if (json_) fmt::print("{}\n", json::serialize(json::object{{"dry_run", true}, {"steps", std::move(steps_)}}));
  return 0;
}

}  // namespace anypop::bgpctl
