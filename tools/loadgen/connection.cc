// SPDX-License-Identifier: Apache-2.0
#include "connection.h"

#include <utility>

namespace anypop::loadgen {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::size_t kAnswerMaxBytes = 64U << 10U;

std::string error_name(const beast::error_code& error) {
  if (error == beast::error::timeout) return "timeout";
  if (error == asio::error::connection_refused) return "refused";
  if (error == asio::error::connection_reset || error == asio::error::broken_pipe) return "reset";
  if (error == asio::error::network_unreachable || error == asio::error::host_unreachable) return "unreachable";
  if (error == http::error::end_of_stream || error == http::error::partial_message || error == asio::error::eof) {
    return "closed";
  }
  if (error.category() == http::make_error_code(http::error::bad_version).category()) return "answer";
  return "other";
}

}  // namespace

Connection::Connection(asio::io_context& io, std::uint64_t id, asio::ip::tcp::endpoint endpoint,
                       std::chrono::milliseconds timeout)
    : stream_(io), id_(id), endpoint_(std::move(endpoint)), timeout_(timeout) {}

void Connection::get(bool last, Handler handler) {
  handler_ = std::move(handler);
  last_ = last;
  stream_.expires_after(timeout_);  // for connect, request and answer together
  if (connected_) return write();
  stream_.async_connect(endpoint_, [self = shared_from_this()](beast::error_code error) {
    if (error) return self->finish({error_name(error), {}});
    self->connected_ = true;
    beast::error_code ignored;
    self->stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    self->write();
  });
}

void Connection::write() {
  request_ = {http::verb::get, "/", 11};
  request_.set(http::field::host, endpoint_.address().is_v6() ? "[" + endpoint_.address().to_string() + "]"
                                                              : endpoint_.address().to_string());
  request_.keep_alive(!last_);
  http::async_write(stream_, request_, [self = shared_from_this()](beast::error_code error, std::size_t) {
    if (error) return self->finish({error_name(error), {}});
    self->read();
  });
}

void Connection::read() {
  parser_.emplace();
  parser_->body_limit(kAnswerMaxBytes);
  http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code error, std::size_t) {
    if (error) return self->finish({error_name(error), {}});
    const bool good = self->parser_->get().result() == http::status::ok;
    self->finish({good ? "" : "status", std::move(self->parser_->get().body())});
  });
}

void Connection::finish(Answer answer) {
  if (last_ || !answer.error.empty()) {
    stream_.close();
  } else {
    stream_.expires_never();
  }
  Handler handler = std::exchange(handler_, nullptr);
  handler(std::move(answer));
}

}  // namespace anypop::loadgen
