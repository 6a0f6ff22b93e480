// SPDX-License-Identifier: Apache-2.0
// What an Announcer does with its session, one operation at a time. Each keeps itself alive until it calls `done`,
// once, from the io_context; after `stopped` has become true it may end without.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "base/config.h"
#include "bgpctl/announcer.h"
#include "bgpctl/bird_view.h"
#include "session.h"

namespace anypop::bgpctl {

void look_at_bird(const std::shared_ptr<Session>& session, std::function<void(absl::StatusOr<BirdView>)> done);

struct SetRequest {
  PopConfig config;
  AnnouncementConfig announcement;
  Level level = Level::kWithdrawn;
  std::shared_ptr<const bool> overtaken;  // becomes true when a later request lowers the announcement
};
void set_level(boost::asio::io_context& io, const std::shared_ptr<Session>& session, SetRequest request,
               std::shared_ptr<const bool> stopped, std::function<void(SetResult)> done);

}  // namespace anypop::bgpctl
