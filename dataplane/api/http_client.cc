// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/http_client.h"

#include <optional>
#include <string>
#include <utility>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "base/text.h"

namespace anypop {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Stream = beast::basic_stream<asio::local::stream_protocol>;

constexpr std::size_t kAnswerMaxBytes = 64U << 20U;

absl::Status socket_error(const std::filesystem::path& socket, const beast::error_code& error) {
  const std::string message = fmt::format("{}: {}", socket.string(), error.message());
  if (error == beast::error::timeout) return deadline_exceeded("{}: no answer in time", socket.string());
  if (error == asio::error::access_denied) {
    return permission_denied("{}; join the socket's group or use sudo", message);
  }
  return absl::UnavailableError(message);
}

}  // namespace

class HttpConnection::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, std::filesystem::path socket) : io_(io), socket_(std::move(socket)) {}

  void call(const HttpRequest& request, std::chrono::milliseconds timeout, Handler handler) {
    if (handler_) {
      asio::post(io_, [handler = std::move(handler), socket = socket_] {
        handler(failed_precondition("{}: a request is pending already", socket.string()));
      });
      return;
    }
    handler_ = std::move(handler);
    timeout_ = timeout;
    request_ = {};
    request_.method_string(request.method);
    request_.target(request.target);
    request_.version(11);
    request_.set(http::field::host, "localhost");
    request_.body() = request.body;
    request_.prepare_payload();
    parser_.emplace();
    parser_->body_limit(kAnswerMaxBytes);
    if (stream_) {
      // Wakes the watch for end of file; write() starts when it has returned the stream.
      stream_->socket().cancel();
      if (!watching_) write();
    } else {
      connect();
    }
  }

  void close() {
    handler_ = nullptr;
    closed_ = nullptr;
    stopped_ = true;
    drop();
  }

  std::function<void()> closed_;

 private:
  void connect() {
    stream_.emplace(io_);
    stream_->expires_after(timeout_);
    stream_->async_connect(asio::local::stream_protocol::endpoint(socket_.string()),
                           [self = shared_from_this()](beast::error_code error) {
                             if (error) return self->finish(socket_error(self->socket_, error));
                             self->write();
                           });
  }

  void write() {
    stream_->expires_after(timeout_);
    http::async_write(*stream_, request_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (error) return self->finish(socket_error(self->socket_, error));
      self->read();
    });
  }

  void read() {
    http::async_read(*stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (error) return self->finish(socket_error(self->socket_, error));
      HttpResponse response{self->parser_->get().result_int(), std::move(self->parser_->get().body()),
                            std::string(self->parser_->get()[http::field::content_type])};
      const bool keep = self->parser_->keep_alive();
      if (keep) self->watch();
      self->finish(std::move(response), keep);
    });
  }

  // Between requests: readable means that the other side has gone.
  void watch() {
    watching_ = true;
    stream_->expires_never();
    stream_->socket().async_wait(asio::socket_base::wait_read, [self = shared_from_this()](beast::error_code error) {
      self->watching_ = false;
      if (self->stopped_) return;
      if (self->handler_) {
        if (error && self->stream_) return self->write();
        // It closed just as a request came: try on a new connection.
        self->drop();
        return self->connect();
      }
      if (error) return;
      self->drop();
      if (self->closed_) self->closed_();
    });
  }

  void finish(absl::StatusOr<HttpResponse> result, bool keep = false) {
    if (!keep) drop();
    Handler handler = std::exchange(handler_, nullptr);
    if (handler) handler(std::move(result));
  }

  void drop() {
    stream_.reset();
    buffer_.clear();
  }

  asio::io_context& io_;
  std::filesystem::path socket_;
  std::optional<Stream> stream_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  std::optional<http::response_parser<http::string_body>> parser_;
  std::chrono::milliseconds timeout_{};
  Handler handler_;
  bool watching_ = false;
  bool stopped_ = false;
};

HttpConnection::HttpConnection(asio::io_context& io, std::filesystem::path socket)
    : impl_(std::make_shared<Impl>(io, std::move(socket))) {}
HttpConnection::~HttpConnection() { impl_->close(); }
void HttpConnection::call(const HttpRequest& request, std::chrono::milliseconds timeout, Handler handler) {
  impl_->call(request, timeout, std::move(handler));
}
void HttpConnection::on_closed(std::function<void()> handler) { impl_->closed_ = std::move(handler); }

absl::StatusOr<HttpResponse> http_call(const std::filesystem::path& socket, const HttpRequest& request,
                                       std::chrono::milliseconds timeout) {
  asio::io_context io;
  HttpConnection connection(io, socket);
  absl::StatusOr<HttpResponse> result = deadline_exceeded("{}: no answer in time", socket.string());
  bool done = false;
  connection.call(request, timeout, [&](absl::StatusOr<HttpResponse> answer) {
    result = std::move(answer);
    done = true;
    io.stop();
  });
  io.run_for(timeout + std::chrono::milliseconds(100));
  return result;
}

}  // namespace anypop
