// SPDX-License-Identifier: Apache-2.0
// The Announcer for a program that does one thing and leaves: calls that block, each bounded by the Announcer's
// timeouts.
#pragma once

#include <boost/asio/io_context.hpp>

#include "base/config.h"
#include "bgpctl/announcer.h"

namespace anypop::bgpctl {

class Bird {
 public:
  explicit Bird(const PopConfig& config) : announcer_(io_, config) {}
  absl::StatusOr<BirdView> look();
  SetResult set(const AnnouncementConfig& announcement, Level level);

 private:
  boost::asio::io_context io_;
  Announcer announcer_;
};

}  // namespace anypop::bgpctl
