// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/text.h"

namespace anypop::bgpctl {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// How soon a connect is tried again while BIRD's queue of connections is full.
constexpr std::chrono::milliseconds kConnectRetry{10};

absl::Status check_command(std::string_view line) {
  if (line.empty() || line.size() > Session::kCommandMaxBytes) {
    return invalid_argument("a command of {} bytes, expected 1 to {}", line.size(), Session::kCommandMaxBytes);
  }
  if (line.find_first_of(std::string_view("\n\r\0", 3)) != std::string_view::npos) {
    return invalid_argument("found a line break in command '{}', expected one line", escaped(line));
  }
  return absl::OkStatus();
}

}  // namespace

struct Session::Connection {
  explicit Connection(asio::io_context& io) : socket(io) {}
  asio::local::stream_protocol::socket socket;
  ReplyParser parser;
  std::array<char, 16384> chunk{};
  std::string output;
  bool greeted = false;    // the banner has come
  bool served = false;     // a command has been answered before
  bool answering = false;  // a part of the reply to the current command has come
};

Session::Session(asio::io_context& io, std::string socket_path, SessionTimeouts timeouts)
    : io_(io), socket_path_(std::move(socket_path)), timeouts_(timeouts), deadline_(io), retry_(io) {}

void Session::command(std::string line, Handler handler, std::function<void()> written) {
  if (absl::Status status = check_command(line); !status.ok()) {
    asio::post(io_, [handler = std::move(handler), status = std::move(status)] { handler(status); });
    return;
  }
  queue_.push_back({std::move(line), std::move(handler), std::move(written)});
  if (queue_.size() == 1) {
    asio::post(io_, [self = shared_from_this()] { self->run_next(); });
  }
}

void Session::close() {
  queue_.clear();
  waiting_ = Waiting::kNothing;
  deadline_.cancel();
  retry_.cancel();
  connection_.reset();
}

void Session::run_next() {
  if (queue_.empty() || waiting_ != Waiting::kNothing) return;
  if (connection_ != nullptr) {
    write_head(connection_);
  } else {
    connect();
  }
}

void Session::connect() {
  const auto connection = std::make_shared<Connection>(io_);
  connection_ = connection;
  error_code error;
  connection->socket.open(asio::local::stream_protocol(), error);
  if (!error) connection->socket.non_blocking(true, error);
  if (error) return fail(unavailable("cannot open a Unix socket: {}", error.message()));
  wait(connection, Waiting::kConnect, timeouts_.connect);
  try_connect(connection);
}

// By hand, because a full queue of a hung BIRD gives EAGAIN, which is no state that a socket can be waited for in.
void Session::try_connect(const std::shared_ptr<Connection>& connection) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path_.size() >= sizeof(address.sun_path)) return fail(connect_error(ENAMETOOLONG));
  std::memcpy(address.sun_path, socket_path_.data(), socket_path_.size());
  const int result =
      ::connect(connection->socket.native_handle(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  if (result == 0) {
    wait(connection, Waiting::kBanner, timeouts_.banner);
    return read(connection);
  }
  if (errno != EAGAIN && errno != EINTR) return fail(connect_error(errno));
  retry_.expires_after(kConnectRetry);
  retry_.async_wait([self = shared_from_this(), connection](error_code error) {
    if (!error && self->is_current(connection)) self->try_connect(connection);
  });
}

void Session::write_head(const std::shared_ptr<Connection>& connection) {
  wait(connection, Waiting::kReply, timeouts_.command);
  connection->answering = false;
  connection->output = queue_.front().line + "\n";
  if (queue_.front().written) queue_.front().written();
  asio::async_write(connection->socket, asio::buffer(connection->output),
                    [self = shared_from_this(), connection](error_code error, std::size_t) {
                      if (error && self->is_current(connection)) self->on_lost(connection, error.message());
                    });
}

// Always pending, also between commands: so a BIRD that leaves is noticed before the next one.
void Session::read(const std::shared_ptr<Connection>& connection) {
  connection->socket.async_read_some(
      asio::buffer(connection->chunk), [self = shared_from_this(), connection](error_code error, std::size_t size) {
        if (!self->is_current(connection)) return;
        if (error) return self->on_lost(connection, error == asio::error::eof ? "it hung up" : error.message());
        self->on_bytes(connection, {connection->chunk.data(), size});
        if (self->is_current(connection)) self->read(connection);
      });
}

void Session::on_bytes(const std::shared_ptr<Connection>& connection, std::string_view bytes) {
  std::vector<Reply> replies;
  connection->answering = true;
  if (absl::Status fed = connection->parser.feed(bytes, replies); !fed.ok()) {
    return fail(resource_exhausted("BIRD at {} sent {}", socket_path_, message(fed)));
  }
  for (Reply& reply : replies) {
    if (is_current(connection)) on_reply(connection, std::move(reply));
  }
}

void Session::on_reply(const std::shared_ptr<Connection>& connection, Reply reply) {
  const Waiting waited = std::exchange(waiting_, Waiting::kNothing);
  deadline_.cancel();
  if (waited == Waiting::kBanner) {
    if (reply.lines.back().code != kReplyWelcome) {
      return fail(unavailable("{} greets with '{}', expected BIRD", socket_path_, escaped(reply.lines.back().text)));
    }
    return run_next();
  }
  if (waited != Waiting::kReply) return on_lost(connection, "it sent a reply that nobody asked for");
  connection->served = true;
  Pending done = std::move(queue_.front());
  queue_.pop_front();
  done.handler(std::move(reply));
  if (is_current(connection)) run_next();
}

void Session::on_lost(const std::shared_ptr<Connection>& connection, std::string_view why) {
  // BIRD restarted between two commands: the new one deserves the question. Commands are levels, so asking twice is
  // harmless.
  const bool unsent = waiting_ == Waiting::kNothing;
  const bool gone_before = waiting_ == Waiting::kReply && connection->served && !connection->answering;
  if (queue_.empty() || unsent || gone_before) {
    waiting_ = Waiting::kNothing;
    deadline_.cancel();
    connection_.reset();
    return run_next();
  }
  fail(unavailable("lost BIRD at {}: {}; is it restarting?", socket_path_, why));
}

void Session::wait(const std::shared_ptr<Connection>& connection, Waiting what, std::chrono::milliseconds timeout) {
  waiting_ = what;
  deadline_.expires_after(timeout);
  deadline_.async_wait([self = shared_from_this(), connection, at = deadline_.expiry()](error_code error) {
    // A timer that was set anew while this handler was on its way is somebody else's.
    if (error || !self->is_current(connection) || self->waiting_ == Waiting::kNothing) return;
    if (self->deadline_.expiry() == at) self->fail(self->deadline_error());
  });
}

void Session::fail(const absl::Status& status) {
  std::deque<Pending> failed = std::exchange(queue_, {});
  close();
  for (Pending& pending : failed) {
    asio::post(io_, [handler = std::move(pending.handler), status] { handler(status); });
  }
}

absl::Status Session::connect_error(int error_number) const {
  const std::string why = std::strerror(error_number);
  if (error_number == EACCES || error_number == EPERM) {
    return permission_denied("not permitted to use BIRD's socket {} ({}); join its group (usually `bird`) or use sudo",
                             socket_path_, why);
  }
  return unavailable("no BIRD at {} ({}); is bird running? bird.socket in pop.yaml names the socket", socket_path_,
                     why);
}

absl::Status Session::deadline_error() const {
  if (waiting_ == Waiting::kReply) {
    return deadline_exceeded("BIRD at {} did not answer '{}' within {} ms; it hangs or is very busy", socket_path_,
                             queue_.front().line, timeouts_.command.count());
  }
  return deadline_exceeded("BIRD at {} does not greet within {} ms; it hangs or is very busy", socket_path_,
                           (waiting_ == Waiting::kConnect ? timeouts_.connect : timeouts_.banner).count());
}

}  // namespace anypop::bgpctl
