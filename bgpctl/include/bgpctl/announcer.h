// SPDX-License-Identifier: Apache-2.0
// The hand on BIRD's control socket, used by bgpctl and by the monitor: look, and set announcements as levels.
//
// Two writers. The monitor may decide to announce at the moment when an operator withdraws. The operator's order must
// win, whichever way the steps interleave:
//   operator (bgpctl withdraw)   hold file → lock → state file → disable → unlock
//   monitor (announce)                       lock → is there a hold? → state file → enable → unlock
// The hold is on disk before the operator asks for the lock. So an announcer that gets the lock later sees the hold and
// does nothing, and one that got it before is finished when the operator's state file and `disable` come, as the last
// word. The lock is bird_state_dir()/.lock (flock, so the death of its holder frees it), held for one set(). A drain is
// ordered the same way, and forbids what is above it.
//
// Withdrawing must not depend on anybody: its state file is written inside the call, whatever else is under way, and
// after 200 ms without the lock (its holder waits for a BIRD that hangs) it goes on without it. An announcement gives
// up after the same time and is tried again by whoever wants it. What can still go wrong then, an `enable` of the hung
// BIRD's connection carried out last, is seen by the read-back and repaired; the state file is right from the start.
// Waiting is a timer; nothing blocks the io_context but small file writes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>

#include "base/config.h"
#include "bgpctl/bird_view.h"
#include "bgpctl/level.h"

namespace anypop::bgpctl {

// One announcement brought to a level. Times are CLOCK_REALTIME in nanoseconds, for the event log.
struct SetResult {
  absl::Status status;                // OK only if the state file is written and BIRD took every command
  std::int64_t started_unix_ns = 0;   // before the state file
  std::int64_t sent_unix_ns = 0;      // first command on the socket; 0: none was needed or possible
  std::int64_t replied_unix_ns = 0;   // last reply
  std::vector<std::string> commands;  // as sent
};

// Two connections, so that no command waits for a look: looks one after another on the one, commands in the order of
// the calls on the other. Handlers run from the io_context, never inside the call. After any error or timeout a
// connection is closed and the next request opens a new one. One thread.
class Announcer {
 public:
  Announcer(boost::asio::io_context& io, const PopConfig& config);
  ~Announcer();  // pending handlers are not called any more
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  // Another configuration, with the same BIRDs.
  void configure(const PopConfig& config);

  // What BIRD is doing, or several of them: an error only if none answers. Unavailable: no BIRD at the socket;
  // PermissionDenied; DeadlineExceeded: BIRD hangs. Each message names the socket.
  void look(std::function<void(absl::StatusOr<BirdView>)> handler);

  // State file first, then commands_for() the level. The state file is written even when BIRD does not answer, so that
  // a BIRD that comes back comes back right. A protocol that BIRD does not know is FailedPrecondition with the remedy
  // (bgpctl render), except a drain protocol that should be down.
  // A level above what a hold allows: FailedPrecondition that names the hold, and nothing is done; so too when the hold
  // cannot be read. Aborted: another process is changing a level, try again; or a later call of set() lowered it.
  void set(const AnnouncementConfig& announcement, Level level, std::function<void(SetResult)> handler);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// Where an announcement stands, from a view, in the families of those BIRDs that answered. Pure.
struct AnnouncementStanding {
  bool configured = false;                   // BIRD knows every normal protocol of it
  bool in_table = false;                     // in every family a protocol of it is up
  bool partly_in_table = false;              // in some but not in all
  std::vector<std::string> exported_to;      // established sessions that send at least one of its prefixes
  std::vector<std::string> not_exported_to;  // established sessions that send none
  std::vector<std::string> drained_to;       // of exported_to: those that send nothing but what is marked as drained
  bool drainable = false;                    // BIRD knows every drain protocol of it
  std::optional<Level> level;                // every protocol is as this level wants it; nullopt: a mixture
};
// Has BIRD told anything about it? Not if the BIRD of each of its families did not answer.
bool is_told(const AnnouncementConfig& announcement, const BirdView& view);
// Does somebody else announce each prefix of it, undrained? nullopt: that was not asked for (keep_last).
std::optional<bool> has_others(const AnnouncementConfig& announcement, const BirdView& view);
AnnouncementStanding standing(const AnnouncementConfig& announcement, const BirdView& view);

}  // namespace anypop::bgpctl
