// SPDX-License-Identifier: Apache-2.0
#include "strangers.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "bgpctl/announcement.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

constexpr auto kRetry = std::chrono::seconds(1);
constexpr std::string_view kPrefix = "anypop_";
constexpr std::string_view kDrain = "_drain";

// A family is all that a command needs to know of an announcement's prefixes.
IpPrefix any_prefix(Family family) { return *IpPrefix::parse(family == Family::kV4 ? "0.0.0.0/0" : "::/0"); }

struct Named {
  std::string name;  // of the announcement
  Family family = Family::kV4;
};

// The inverse of bgpctl::protocol_names() and drain_protocol_names(). nullopt: no name of ours.
std::optional<Named> announcement_of(std::string_view protocol) {
  if (!protocol.starts_with(kPrefix)) return std::nullopt;
  protocol.remove_prefix(kPrefix.size());
  if (protocol.ends_with(kDrain)) protocol.remove_suffix(kDrain.size());
  Named named;
  if (protocol.ends_with("_v6")) {
    named.family = Family::kV6;
  } else if (!protocol.ends_with("_v4")) {
    return std::nullopt;
  }
  named.name = protocol.substr(0, protocol.size() - 3);
  if (named.name.empty()) return std::nullopt;
  std::replace(named.name.begin(), named.name.end(), '_', '-');
  return named;
}

bool has_family(const AnnouncementConfig& announcement, Family family) {
  return std::any_of(announcement.prefixes.begin(), announcement.prefixes.end(),
                     [&](const IpPrefix& prefix) { return prefix.family() == family; });
}

Record drift(const std::string& name, const std::string& found) {
  return Record{{{"event", "drift"}, {"announcement", name}, {"intended", "withdrawn"}, {"found", found}}};
}

std::string leftover_cause(const std::string& protocol) {
  return fmt::format(
      "{} is up, but its announcement has no such prefix in pop.yaml; give BIRD the output of `bgpctl render`",
      protocol);
}

}  // namespace

void Strangers::add(const AnnouncementConfig& gone, Actions& actions) {
  Stranger& stranger = strangers_[gone.name];
  stranger.announcement = gone;
  stranger.ordered = stranger.in_file = true;
  withdraw(stranger, gone, actions);
}

void Strangers::forget_known(const PopConfig& config) {
  std::erase_if(strangers_, [&](const auto& entry) { return config.find_announcement(entry.first) != nullptr; });
}

void Strangers::take_protocols(const PopConfig& config, const bgpctl::BirdView& view, Actions& actions) {
  for (auto& [name, stranger] : strangers_) stranger.up.clear();
  const std::set<std::string> leftovers = std::exchange(leftovers_, {});
  for (const auto& [protocol, found] : view.protocols) {
    if (found.state != "up" || found.kind != "Static") continue;
    const auto named = announcement_of(protocol);
    if (!named) continue;
    if (const AnnouncementConfig* known = config.find_announcement(named->name); known != nullptr) {
      if (has_family(*known, named->family)) continue;
      leftovers_.insert(protocol);
      if (!leftovers.contains(protocol)) actions.push_back(drift(named->name, leftover_cause(protocol)));
      continue;
    }
    Stranger& stranger = strangers_[named->name];
    stranger.announcement.name = named->name;
    stranger.up.push_back(protocol);
    if (!has_family(stranger.announcement, named->family)) {
      stranger.announcement.prefixes.push_back(any_prefix(named->family));
    }
  }
}

void Strangers::on_look(const PopConfig& config, const std::vector<std::string>& files,
                        const absl::StatusOr<bgpctl::BirdView>& view, bool complete, Now now, Actions& actions) {
  for (auto& [name, stranger] : strangers_) stranger.in_file = false;
  for (const std::string& name : files) {
    if (config.find_announcement(name) != nullptr) continue;
    strangers_[name].announcement.name = name;
    strangers_[name].in_file = true;
  }
  if (view.ok()) take_protocols(config, *view, actions);
  for (auto entry = strangers_.begin(); entry != strangers_.end();) {
    Stranger& stranger = entry->second;
    const bool gone = stranger.up.empty() && !stranger.in_file;
    if (gone && complete && !stranger.pending) {
      entry = strangers_.erase(entry);
      continue;
    }
    ++entry;
    if (gone || stranger.pending || now.steady < stranger.retry_at) continue;
    if (!stranger.ordered && !std::exchange(stranger.drift_recorded, true)) {
      actions.push_back(drift(stranger.announcement.name, cause(stranger)));
    }
    // While BIRD does not answer there is only the file, and others wait for the socket.
    AnnouncementConfig what = stranger.announcement;
    if (!view.ok()) what.prefixes.clear();
    withdraw(stranger, what, actions);
  }
}

void Strangers::on_set(const std::string& name, const bgpctl::SetResult& result, Now now, Actions& actions) {
  const auto found = strangers_.find(name);
  if (found == strangers_.end()) return;  // it has come back into the configuration
  Stranger& stranger = found->second;
  stranger.pending = false;
  stranger.retry_at = result.status.ok() ? now.steady : now.steady + kRetry;
  std::string error(message(result.status));
  if (stranger.recorded == error) return;
  json::array commands;
  for (const std::string& line : result.commands) commands.emplace_back(line);
  actions.push_back(Record{{{"event", "command"},
                            {"announcement", name},
                            {"announce", false},
                            {"level", "withdrawn"},
                            {"cause", "it is not in pop.yaml"},
                            {"sent_unix_ns", result.sent_unix_ns},
                            {"replied_unix_ns", result.replied_unix_ns},
                            {"commands", std::move(commands)},
                            {"ok", result.status.ok()},
                            {"error", error}}});
  stranger.recorded = std::move(error);
}

void Strangers::withdraw(Stranger& stranger, const AnnouncementConfig& what, Actions& actions) {
  stranger.pending = true;
  actions.push_back(WithdrawStranger{what});
}

std::string Strangers::cause(const Stranger& stranger) {
  if (!stranger.up.empty()) return fmt::format("{}: up, but not in pop.yaml", fmt::join(stranger.up, ", "));
  if (stranger.in_file) return "its state file lets BIRD announce it, but it is not in pop.yaml";
  return "it is not in pop.yaml, and BIRD has not confirmed that it is withdrawn";
}

json::array Strangers::json() const {
  json::array result;
  for (const auto& [name, stranger] : strangers_) {
    result.push_back(json::object{{"name", name}, {"cause", cause(stranger)}});
  }
  for (const std::string& protocol : leftovers_) {
    result.push_back(json::object{{"name", announcement_of(protocol)->name}, {"cause", leftover_cause(protocol)}});
  }
  return result;
}

}  // namespace anypop::healthmon
