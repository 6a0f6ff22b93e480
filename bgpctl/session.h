// SPDX-License-Identifier: Apache-2.0
// One client of BIRD's control socket: commands go out one at a time, in order, each with its own deadline.
//
// A connection that has failed in any way (deadline, end of file, a reply too long, a reply nobody asked for) is closed
// and never used again, because the answer to a command that was given up may still come on it. Its bytes cannot reach
// a later command: every handler holds the connection that it belongs to.
//
// No command is sent before the banner has been read. A BIRD that hangs accepts nothing, so what was queued in the
// meantime cannot be carried out late, after a younger command on another connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "reply.h"

namespace anypop::bgpctl {

struct SessionTimeouts {
  std::chrono::milliseconds connect{1000};
  std::chrono::milliseconds banner{1000};
  std::chrono::milliseconds command{2000};
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  using Handler = std::function<void(absl::StatusOr<Reply>)>;

  // BIRD closes the socket without a word when a line is longer.
  static constexpr std::size_t kCommandMaxBytes = 1022;

  Session(boost::asio::io_context& io, std::string socket_path, SessionTimeouts timeouts = {});

  // Connects if need be. The handler runs from the io_context, never inside the call, and `written` when the command is
  // handed to the socket. An error fails every command that waits: Unavailable (no BIRD, or it hung up),
  // PermissionDenied, DeadlineExceeded, ResourceExhausted (reply too long), InvalidArgument (command too long, or more
  // than one line). Replies that report an error are replies.
  void command(std::string line, Handler handler, std::function<void()> written = nullptr);

  // Forgets every command without calling its handler.
  void close();

  const std::string& socket_path() const { return socket_path_; }

 private:
  struct Connection;
  struct Pending {
    std::string line;
    Handler handler;
    std::function<void()> written;
  };
  enum class Waiting : std::uint8_t { kNothing, kConnect, kBanner, kReply };

  bool is_current(const std::shared_ptr<Connection>& connection) const { return connection_ == connection; }
  void run_next();
  void connect();
  void try_connect(const std::shared_ptr<Connection>& connection);
  void write_head(const std::shared_ptr<Connection>& connection);
  void read(const std::shared_ptr<Connection>& connection);
  void on_bytes(const std::shared_ptr<Connection>& connection, std::string_view bytes);
  void on_reply(const std::shared_ptr<Connection>& connection, Reply reply);
  void on_lost(const std::shared_ptr<Connection>& connection, std::string_view why);
  void wait(const std::shared_ptr<Connection>& connection, Waiting what, std::chrono::milliseconds timeout);
  void fail(const absl::Status& status);
  absl::Status connect_error(int error_number) const;
  absl::Status deadline_error() const;

  boost::asio::io_context& io_;
  std::string socket_path_;
  SessionTimeouts timeouts_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer retry_;
  std::shared_ptr<Connection> connection_;
  Waiting waiting_ = Waiting::kNothing;
  std::deque<Pending> queue_;
};

}  // namespace anypop::bgpctl
