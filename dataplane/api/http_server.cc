// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/http_server.h"

#include <array>
#include <cerrno>
#include <list>
#include <optional>
#include <sstream>
#include <utility>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using LocalProtocol = asio::local::stream_protocol;
using AnyProtocol = asio::generic::stream_protocol;
using Stream = beast::basic_stream<AnyProtocol>;

class Session;

struct Shared {
  HttpServerOptions options;
  HttpServer::AsyncHandler handler;
  // Who waits for a client longest is first. A client that has never asked anything counts as older than any that has.
  std::list<Session*> silent;
  std::list<Session*> proven;
  std::size_t connections() const { return silent.size() + proven.size(); }
};

constexpr std::size_t kStreamUnreadMaxBytes = 256U << 10U;

std::optional<HttpPeer> peer_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0 || credentials.pid == 0) {
    return std::nullopt;  // TCP
  }
  return HttpPeer{credentials.pid, credentials.uid, credentials.gid};
}

// One client: read, answer, again. It owns itself through the pending operation, and the server's settings with it.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(AnyProtocol::socket socket, std::shared_ptr<Shared> shared)
      : stream_(std::move(socket)),
        peer_(peer_of(stream_.socket().native_handle())),
        shared_(std::move(shared)),
        list_(&shared_->silent) {
    place_ = list_->insert(list_->end(), this);
  }
  ~Session() { list_->erase(place_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Makes room for somebody else: the pending operation ends, and the session with it.
  void evict() { stream_.close(); }

  void read() {
    parser_.emplace();
    parser_->body_limit(shared_->options.body_max_bytes);
    stream_.expires_after(shared_->options.request_timeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) { self->on_request(error); });
  }

 private:
  void on_request(beast::error_code error) {
    if (error == http::error::body_limit) {
      return answer(http_error(413, fmt::format("the body is larger than {} bytes", shared_->options.body_max_bytes)),
                    false);
    }
    if (error.category() == beast::error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      return answer(http_error(400, error.message()), false);
    }
    if (error) return;
    const auto& message = parser_->get();
    const HttpRequest request{std::string(message.method_string()), std::string(message.target()), message.body(),
                              peer_, std::string(message["Last-Event-ID"])};
    const bool keep_alive = message.keep_alive();
    list_->erase(place_);
    list_ = &shared_->proven;
    place_ = list_->insert(list_->end(), this);
    shared_->handler(request, [self = shared_from_this(), keep_alive](HttpResponse response) {
      if (response.stream) return self->begin_stream(std::move(response));
      self->answer(std::move(response), keep_alive);
    });
  }

  // The end of the connection is the end of the body (RFC 9112, section 6.3), so that the bytes go out as they are.
  void begin_stream(HttpResponse response) {
    http::response<http::empty_body> head;
    head.version(11);
    set_fields(head, response);
    head.keep_alive(false);
    std::ostringstream text;
    text << head;
    stream_.expires_never();
    auto body = std::make_shared<StreamBody>(shared_from_this());
    body->send(text.str());
    watch_for_end();
    response.stream(std::move(body));
  }

  bool send(std::string_view text) {
    if (!stream_.socket().is_open() || unread_.size() + text.size() > kStreamUnreadMaxBytes) {
      evict();
      return false;
    }
    unread_ += text;
    if (writing_.empty()) write_stream();
    return true;
  }

  void write_stream() {
    writing_ = std::exchange(unread_, {});
    // The raw socket: its reads and writes have no deadline here, and a client that does not read is dropped by size.
    asio::async_write(stream_.socket(), asio::buffer(writing_),
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        self->writing_.clear();
                        if (error) return self->evict();
                        if (!self->unread_.empty()) return self->write_stream();
                        if (self->stream_ended_) self->evict();
                      });
  }

  // What a client says during a stream is nothing to us; that it goes away is.
  void watch_for_end() {
    stream_.socket().async_read_some(asio::buffer(ignored_),
                                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                                       if (error) return self->evict();
                                       self->watch_for_end();
                                     });
  }

  void end_stream() {
    stream_ended_ = true;
    if (writing_.empty() && unread_.empty()) evict();
  }

  struct StreamBody : HttpStream {
    explicit StreamBody(std::shared_ptr<Session> of) : session(std::move(of)) {}
    ~StreamBody() override { session->end_stream(); }
    StreamBody(const StreamBody&) = delete;
    StreamBody& operator=(const StreamBody&) = delete;
    bool send(std::string_view text) override { return session->send(text); }
    bool is_open() const override { return session->stream_.socket().is_open(); }
    std::shared_ptr<Session> session;
  };

  template <typename Body>
  static void set_fields(http::response<Body>& message, const HttpResponse& response) {
    message.result(response.status);
    message.set(http::field::server, "anypop");
    message.set(http::field::content_type, response.content_type);
    message.set(http::field::cache_control, "no-store");
    message.set("X-Content-Type-Options", "nosniff");
  }

  void answer(HttpResponse response, bool keep_alive) {
    response_ = {};
    response_.version(11);
    set_fields(response_, response);
    response_.keep_alive(keep_alive);
    response_.body() = std::move(response.body);
    response_.prepare_payload();
    http::async_write(stream_, response_,
                      [self = shared_from_this(), keep_alive](beast::error_code error, std::size_t) {
                        if (!error && keep_alive) self->read();
                      });
  }

  Stream stream_;
  std::optional<HttpPeer> peer_;
  std::shared_ptr<Shared> shared_;
  std::list<Session*>* list_;
  std::list<Session*>::iterator place_;
  beast::flat_buffer buffer_{64U << 10U};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  // An answer that goes on.
  std::string writing_;
  std::string unread_;
  bool stream_ended_ = false;
  std::array<char, 512> ignored_;
};

absl::Status path_error(std::string_view what, const std::filesystem::path& path, std::string_view why) {
  return unavailable("{} {}: {}", what, path.string(), why);
}

// A socket file without a server behind it is what a killed process leaves.
absl::Status remove_stale_socket(asio::io_context& io, const std::filesystem::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return absl::OkStatus();
  if (!S_ISSOCK(info.st_mode)) return path_error("cannot listen on", path, "the file is not a socket; remove it");
  LocalProtocol::socket probe(io);
  beast::error_code error;
  probe.connect(LocalProtocol::endpoint(path.string()), error);
  if (!error) {
    return already_exists("{}: another process is serving this socket", path.string());
  }
  if (::unlink(path.c_str()) != 0) return path_error("cannot remove the stale", path, std::strerror(errno));
  return absl::OkStatus();
}

void hand_to_group(const std::filesystem::path& path, const std::string& group) {
  ::chmod(path.c_str(), 0660);
  if (const struct group* entry = ::getgrnam(group.c_str()); entry != nullptr) {
    // Without the right to give it away the socket stays ours alone, which is the safe side.
    [[maybe_unused]] const int ignored = ::chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid);
  }
}

}  // namespace

HttpResponse http_error(unsigned status, const std::string& message) {
  return {status, boost::json::serialize(boost::json::object{{"error", message}}) + "\n"};
}

class HttpServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, HttpServerOptions options, AsyncHandler handler) : acceptor_(io), tcp_acceptor_(io) {
    shared_->options = std::move(options);
    shared_->handler = std::move(handler);
  }

  absl::Status open_tcp() {
    const std::string& text = shared_->options.tcp_listen;
    const std::size_t colon = text.rfind(':');
    const auto port = parse_number<std::uint16_t>(std::string_view(text).substr(colon + 1), 0, 65535);
    beast::error_code error;
    const bool bracketed = text.starts_with('[') && colon > 1 && text[colon - 1] == ']';
    const auto address = asio::ip::make_address(bracketed ? text.substr(1, colon - 2) : text.substr(0, colon), error);
    if (error || !port || colon == std::string::npos) {
      return invalid_argument("found '{}', expected an address and a port such as 127.0.0.1:9473", escaped(text));
    }
    const asio::ip::tcp::endpoint endpoint(address, *port);
    tcp_acceptor_.open(endpoint.protocol(), error);
    if (!error) tcp_acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) tcp_acceptor_.bind(endpoint, error);
    if (!error) tcp_acceptor_.listen(asio::socket_base::max_listen_connections, error);
    return error ? path_error("cannot listen on", text, error.message()) : absl::OkStatus();
  }

  absl::Status open(asio::io_context& io) {
    if (!shared_->options.tcp_listen.empty()) return open_tcp();
    const std::filesystem::path& path = shared_->options.socket_path;
    if (absl::Status status = remove_stale_socket(io, path); !status.ok()) return status;
    beast::error_code error;
    const LocalProtocol::endpoint endpoint(path.string());
    acceptor_.open(endpoint.protocol(), error);
    const mode_t old_mask = ::umask(0177);
    if (!error) acceptor_.bind(endpoint, error);
    ::umask(old_mask);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return path_error("cannot listen on", path, error.message());
    hand_to_group(path, shared_->options.group);
    listening_ = true;
    return absl::OkStatus();
  }

  void accept() {
    if (tcp_acceptor_.is_open()) {
      accept_from(tcp_acceptor_);
    } else {
      accept_from(acceptor_);
    }
  }

  // Clients that connect and say nothing must not keep out those who have something to say.
  void take(AnyProtocol::socket socket) {
    if (shared_->connections() >= shared_->options.connections_max) {
      Session* oldest = shared_->silent.empty() ? shared_->proven.front() : shared_->silent.front();
      oldest->evict();
    }
    // What is evicted leaves the list when its operation has ended; until then there are a few more.
    if (shared_->connections() >= 2 * shared_->options.connections_max) return;
    std::make_shared<Session>(std::move(socket), shared_)->read();
  }

  void close() {
    beast::error_code ignored;
    acceptor_.close(ignored);
    tcp_acceptor_.close(ignored);
    if (listening_) ::unlink(shared_->options.socket_path.c_str());
    shared_->handler = [](const HttpRequest&, const Reply& reply) { reply(http_error(503, "shutting down")); };
  }

 private:
  template <typename Acceptor>
  void accept_from(Acceptor& acceptor) {
    acceptor.async_accept([self = shared_from_this(), &acceptor](beast::error_code error, auto socket) {
      if (error == asio::error::operation_aborted || !acceptor.is_open()) return;
      if (!error) self->take(AnyProtocol::socket(std::move(socket)));
      self->accept_from(acceptor);
    });
  }

  LocalProtocol::acceptor acceptor_;
  asio::ip::tcp::acceptor tcp_acceptor_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  bool listening_ = false;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::listen(asio::io_context& io, HttpServerOptions options,
                                                               Handler handler) {
  return listen_async(
      io, std::move(options),
      [handler = std::move(handler)](const HttpRequest& request, const Reply& reply) { reply(handler(request)); });
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::listen_async(asio::io_context& io, HttpServerOptions options,
                                                                     AsyncHandler handler) {
  auto impl = std::make_shared<Impl>(io, std::move(options), std::move(handler));
  if (absl::Status status = impl->open(io); !status.ok()) return status;
  impl->accept();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { impl_->close(); }

}  // namespace anypop
