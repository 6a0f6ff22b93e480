// SPDX-License-Identifier: Apache-2.0
// What an Announcer does with its session, one operation at a time. Each keeps itself alive until it calls `done`,
// once, from the io_context; after `stopped` has become true it may end without.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/config.h"
#include "bgpctl/announcer.h"
#include "bgpctl/bird_view.h"
#include "session.h"

namespace anypop::bgpctl {

// `watched`: the prefixes of which others' routes are wanted.
void look_at_bird(const std::shared_ptr<Session>& session, std::vector<IpPrefix> watched,
                  std::function<void(absl::StatusOr<BirdView>)> done);

struct SetRequest {
  PopConfig config;
  AnnouncementConfig announcement;
  Level level = Level::kWithdrawn;
  std::shared_ptr<const bool> overtaken;  // becomes true when a later request lowers the announcement
};
// `sessions`: one for each of PopConfig::birds. Those do not wait for one another.
void set_level(boost::asio::io_context& io, std::vector<std::shared_ptr<Session>> sessions, SetRequest request,
               std::shared_ptr<const bool> stopped, std::function<void(SetResult)> done);

// What several BIRDs said, as one view: of each BIRD only the protocols of its families. The first error if none
// answered. Pure.
absl::StatusOr<BirdView> merge_views(const std::vector<BirdConfig>& birds, std::vector<absl::StatusOr<BirdView>> views);

}  // namespace anypop::bgpctl
