// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <utility>

#include "base/text.h"
#include "operations.h"

namespace anypop::bgpctl {
namespace {

BirdInstance instance_of(const BirdConfig& bird, const absl::StatusOr<BirdView>& view) {
  BirdInstance instance{.socket = bird.socket, .families = bird.families, .error = std::string(message(view.status()))};
  if (!view.ok()) return instance;
  instance.version = view->version;
  instance.server_time = view->server_time;
  instance.last_reboot = view->last_reboot;
  instance.last_reconfiguration = view->last_reconfiguration;
  return instance;
}

// A protocol of ours that is another BIRD's business, although this one may have it in its configuration as well.
bool is_of_another(std::string_view name, const std::vector<Family>& families) {
  if (name.ends_with("_drain")) name.remove_suffix(6);
  const auto has = [&](Family family) { return std::find(families.begin(), families.end(), family) != families.end(); };
  return (name.ends_with("_v4") && !has(Family::kV4)) || (name.ends_with("_v6") && !has(Family::kV6));
}

void add_view(const BirdConfig& bird, BirdView view, BirdView& all) {
  if (all.version.empty()) {
    all.version = view.version;
    all.server_time = view.server_time;
    all.last_reboot = view.last_reboot;
    all.last_reconfiguration = view.last_reconfiguration;
  }
  const std::string mark = bird.families.front() == Family::kV4 ? "v4/" : "v6/";
  for (auto& [name, protocol] : view.protocols) {
    const bool session = view.sessions.contains(name);
    if (!session && is_of_another(name, bird.families)) continue;
    all.protocols.emplace(session ? mark + name : name, std::move(protocol));
  }
  for (auto& [name, session] : view.sessions) {
    session.families = bird.families;
    all.sessions.emplace(mark + name, std::move(session));
  }
  all.others.merge(view.others);
}

}  // namespace

absl::StatusOr<BirdView> merge_views(const std::vector<BirdConfig>& birds,
                                     std::vector<absl::StatusOr<BirdView>> views) {
  if (std::none_of(views.begin(), views.end(), [](const auto& view) { return view.ok(); })) return views.front();
  BirdView all;
  std::vector<BirdInstance> instances;
  for (std::size_t i = 0; i < birds.size(); ++i) {
    instances.push_back(instance_of(birds[i], views[i]));
    if (!views[i].ok()) {
      all.missing.insert(all.missing.end(), birds[i].families.begin(), birds[i].families.end());
    } else if (birds.size() == 1) {
      all = *std::move(views[i]);
    } else {
      add_view(birds[i], *std::move(views[i]), all);
    }
  }
  all.instances = std::move(instances);
  return all;
}

}  // namespace anypop::bgpctl
