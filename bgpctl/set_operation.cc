// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "base/text.h"
#include "bgpctl/announcement.h"
#include "bgpctl/event_log.h"
#include "bgpctl/holds.h"
#include "bgpctl/printable.h"
#include "operations.h"
#include "state_lock.h"

namespace anypop::bgpctl {
namespace {

constexpr std::chrono::milliseconds kLockPatience{200};
constexpr std::chrono::milliseconds kLockRetry{5};

absl::Status answer_error(const ReplyLine& error, const std::string& socket, const std::string& protocol) {
  if (error.code == kReplyNoProtocol || error.code == kReplyParseError) {
    return failed_precondition(
        "BIRD at {} has no protocol '{}'; include the text of `bgpctl render` in bird.conf and run `birdc configure`",
        socket, protocol);
  }
  if (error.code == kReplyAccessDenied) {
    return permission_denied("BIRD's socket {} is restricted to reading; expected the one that may disable protocols",
                             socket);
  }
  return internal_error("BIRD at {} answers {:04} '{}' for protocol '{}'", socket, error.code, printable(error.text),
                        protocol);
}

// The commands for one BIRD, one after another.
struct Chain {
  std::shared_ptr<Session> session;
  std::vector<LevelCommand> commands;
  std::size_t next = 0;
};

std::vector<Chain> chains_for(const SetRequest& request, std::vector<std::shared_ptr<Session>> sessions) {
  std::vector<Chain> chains;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    Chain chain{std::move(sessions[i]), {}, 0};
    for (LevelCommand& command : commands_for(request.announcement, request.level)) {
      if (&request.config.bird_of(command.family) == &request.config.birds[i]) {
        chain.commands.push_back(std::move(command));
      }
    }
    if (!chain.commands.empty()) chains.push_back(std::move(chain));
  }
  return chains;
}

// lock → hold → state file → a command for each protocol.
class SetLevel : public std::enable_shared_from_this<SetLevel> {
 public:
  SetLevel(boost::asio::io_context& io, std::vector<std::shared_ptr<Session>> sessions, SetRequest request,
           std::shared_ptr<const bool> stopped, std::function<void(SetResult)> done)
      : request_(std::move(request)),
        stopped_(std::move(stopped)),
        done_(std::move(done)),
        chains_(chains_for(request_, std::move(sessions))),
        retry_(io) {}

  void start() {
    result_.started_unix_ns = unix_now_ns();
    patience_end_ = std::chrono::steady_clock::now() + kLockPatience;
    take_lock();
  }

 private:
  void take_lock() {
    if (*stopped_) return;
    absl::StatusOr<StateLock> lock = StateLock::try_take(request_.config);
    if (absl::IsAborted(lock.status()) && std::chrono::steady_clock::now() < patience_end_) {
      retry_.expires_after(kLockRetry);
      retry_.async_wait([self = shared_from_this()](boost::system::error_code) { self->take_lock(); });
      return;
    }
    if (!lock.ok() && !withdraws()) return finish(lock.status());
    if (lock.ok()) lock_ = *std::move(lock);
    if (withdraws()) return write_file();  // with or without the lock
    check_hold();
  }

  bool withdraws() const { return request_.level == Level::kWithdrawn; }

  void check_hold() {
    if (*request_.overtaken) return finish(absl::AbortedError("a later order has overtaken this one"));
    const std::string& name = request_.announcement.name;
    const auto hold = load_hold(request_.config, name, unix_now_ns() / 1'000'000);
    if (!hold.ok()) return finish(hold.status());
    if (*hold && request_.level > highest_level((*hold)->kind)) {
      return finish(failed_precondition("'{}' is held {} by {}: {}; `bgpctl release {}` ends the hold", name,
                                        level_name(highest_level((*hold)->kind)), printable((*hold)->who),
                                        printable((*hold)->reason), name));
    }
    write_file();
  }

  void write_file() {
    const absl::Status written = write_state_file(request_.config, request_.announcement, request_.level);
    result_.status.Update(written);
    // Announcing over a file that says no would last until somebody's next configure. Withdrawing is worth a try
    // whatever the disk says.
    if (!written.ok() && !withdraws()) return finish(written);
    running_ = chains_.size();
    if (running_ == 0) return finish(absl::OkStatus());
    for (Chain& chain : chains_) command_next(chain);
  }

  // The handlers keep this object, and with it its chains.
  void command_next(Chain& chain) {
    if (*stopped_) return;
    if (chain.next == chain.commands.size()) return end_chain(absl::OkStatus());
    const std::string line = chain.commands[chain.next].line();
    chain.session->command(
        line,
        [self = shared_from_this(), &chain](absl::StatusOr<Reply> reply) { self->take_reply(chain, std::move(reply)); },
        [self = shared_from_this(), line] {
          if (self->result_.sent_unix_ns == 0) self->result_.sent_unix_ns = unix_now_ns();
          self->result_.commands.push_back(line);
        });
  }

  void take_reply(Chain& chain, absl::StatusOr<Reply> reply) {
    if (!reply.ok()) return end_chain(reply.status());
    result_.replied_unix_ns = unix_now_ns();
    const LevelCommand& command = chain.commands[chain.next];
    if (const ReplyLine* error = reply->error(); error != nullptr) {
      // A BIRD with the include of an older version has no drain protocol that could be up.
      const bool absent_as_wanted = command.drain && !command.enable && error->code == kReplyNoProtocol;
      if (!absent_as_wanted) {
        result_.status.Update(answer_error(*error, chain.session->socket_path(), command.protocol));
      }
    }
    ++chain.next;
    command_next(chain);
  }

  void end_chain(const absl::Status& status) {
    result_.status.Update(status);
    if (--running_ == 0) finish(absl::OkStatus());
  }

  void finish(const absl::Status& status) {
    result_.status.Update(status);
    lock_.reset();
    if (!*stopped_) done_(std::move(result_));
  }

  SetRequest request_;
  std::shared_ptr<const bool> stopped_;
  std::function<void(SetResult)> done_;
  std::vector<Chain> chains_;
  std::size_t running_ = 0;  // chains that are not at their end
  std::optional<StateLock> lock_;
  boost::asio::steady_timer retry_;
  std::chrono::steady_clock::time_point patience_end_;
  SetResult result_;
};

}  // namespace

void set_level(boost::asio::io_context& io, std::vector<std::shared_ptr<Session>> sessions, SetRequest request,
               std::shared_ptr<const bool> stopped, std::function<void(SetResult)> done) {
  std::make_shared<SetLevel>(io, std::move(sessions), std::move(request), std::move(stopped), std::move(done))->start();
}

}  // namespace anypop::bgpctl
