// SPDX-License-Identifier: Apache-2.0
// The hand on BIRD's control socket, used by bgpctl and by the monitor: look, and set announcements as levels.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>

#include "base/config.h"
#include "bgpctl/bird_view.h"

namespace anypop::bgpctl {

// One announcement brought to a level. Times are CLOCK_REALTIME in nanoseconds, for the event log.
struct SetResult {
  absl::Status status;                // OK only if the state file is written and BIRD took every command
  std::int64_t started_unix_ns = 0;   // before the state file
  std::int64_t sent_unix_ns = 0;      // first command on the socket; 0: none was needed or possible
  std::int64_t replied_unix_ns = 0;   // last reply
  std::vector<std::string> commands;  // as sent
};

// Requests are carried out one after another in the order of the calls; handlers run from the io_context, never inside
// the call. After any error or timeout the connection is closed and the next request opens a new one. One thread.
class Announcer {
 public:
  Announcer(boost::asio::io_context& io, const PopConfig& config);
  ~Announcer();  // pending handlers are not called any more
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  // What BIRD is doing. Unavailable: no BIRD at the socket; PermissionDenied; DeadlineExceeded: BIRD hangs. Each
  // message names the socket.
  void look(std::function<void(absl::StatusOr<BirdView>)> handler);

  // State file first, then enable or disable for each of the announcement's protocols. The state file is written even
  // when BIRD does not answer, so that a BIRD that comes back comes back right. A protocol that BIRD does not know is
  // FailedPrecondition with the remedy (bgpctl render).
  void set(const AnnouncementConfig& announcement, bool announced, std::function<void(SetResult)> handler);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// Where an announcement stands, from a view: the protocols are up, and which established sessions export all of its
// prefixes of the session's families. Pure.
struct AnnouncementStanding {
  bool configured = false;                   // BIRD knows every protocol of it
  bool in_table = false;                     // every protocol of it is up
  bool partly_in_table = false;              // some but not all are up
  std::vector<std::string> exported_to;      // established sessions that send at least one of its prefixes
  std::vector<std::string> not_exported_to;  // established sessions that send none
};
AnnouncementStanding standing(const AnnouncementConfig& announcement, const BirdView& view);

}  // namespace anypop::bgpctl
