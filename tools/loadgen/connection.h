// SPDX-License-Identifier: Apache-2.0
// One TCP connection to the VIP and HTTP/1.1 GETs on it, one at a time, each with its own deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace anypop::loadgen {

struct Answer {
  std::string error;  // empty: a complete answer with status 200
  std::string body;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Handler = std::function<void(Answer)>;

  Connection(boost::asio::io_context& io, std::uint64_t id, boost::asio::ip::tcp::endpoint endpoint,
             std::chrono::milliseconds timeout);

  // Connects if need be. `last` asks the server to close after this answer. After an error the connection is of no
  // more use. The handler runs exactly once, from the io_context.
  void get(bool last, Handler handler);

  std::uint64_t id() const { return id_; }

 private:
  void write();
  void read();
  void finish(Answer answer);

  boost::beast::tcp_stream stream_;
  std::uint64_t id_;
  boost::asio::ip::tcp::endpoint endpoint_;
  std::chrono::milliseconds timeout_;
  bool connected_ = false;
  bool last_ = false;
  Handler handler_;
  boost::beast::flat_buffer buffer_;
  boost::beast::http::request<boost::beast::http::empty_body> request_;
  std::optional<boost::beast::http::response_parser<boost::beast::http::string_body>> parser_;
};

}  // namespace anypop::loadgen
