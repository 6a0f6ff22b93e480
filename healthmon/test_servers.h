// SPDX-License-Identifier: Apache-2.0
// Servers on loopback for tests of probes and of the daemon: a thread with an io_context, and TCP backends that do what
// a test tells them.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

namespace anypop::healthmon {

class ServerThread {
 public:
  ServerThread() : thread_([this] { io_.run(); }) {}
  ~ServerThread() {
    io_.stop();
    thread_.join();
  }
  boost::asio::io_context& io() { return io_; }
  // Runs `task` on the thread and waits for it.
  void run(const std::function<void()>& task) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_ = boost::asio::make_work_guard(io_);
  std::thread thread_;
};

// How a backend treats a connection. It is kept open until the client closes, unless `reset` or `close`.
struct BackendScript {
  std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
  bool answer_for_ever = false;  // again and again
  bool close = false;            // after the answer
  bool reset = false;            // instead of an answer
};

// All members are used from the server's thread only.
class TestBackend : public std::enable_shared_from_this<TestBackend> {
 public:
  using tcp = boost::asio::ip::tcp;

  // Port 0: any free one. nullptr if it cannot listen.
  static std::shared_ptr<TestBackend> listen(boost::asio::io_context& io, const std::string& address,
                                             std::uint16_t port, BackendScript script = {}) {
    auto backend = std::make_shared<TestBackend>(io, std::move(script));
    const tcp::endpoint endpoint(boost::asio::ip::make_address(address), port);
    boost::system::error_code error;
    backend->acceptor_.open(endpoint.protocol(), error);
    if (!error) backend->acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) backend->acceptor_.bind(endpoint, error);
    if (!error) backend->acceptor_.listen(boost::asio::socket_base::max_listen_connections, error);
    if (error) return nullptr;
    backend->accept();
    return backend;
  }

  TestBackend(boost::asio::io_context& io, BackendScript script) : acceptor_(io), script_(std::move(script)) {}

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  unsigned connections() const { return connections_; }
  void close() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  struct Connection {
    tcp::socket socket;
    char request[2048];
  };

  void accept() {
    acceptor_.async_accept([self = shared_from_this()](boost::system::error_code error, tcp::socket socket) {
      if (error) return;
      ++self->connections_;
      self->serve(std::make_shared<Connection>(Connection{std::move(socket), {}}));
      self->accept();
    });
  }
  void serve(const std::shared_ptr<Connection>& connection) {
    if (script_.reset) {
      boost::system::error_code ignored;
      connection->socket.set_option(boost::asio::socket_base::linger(true, 0), ignored);
      connection->socket.close(ignored);  // the destructor alone would take the option back
      return;
    }
    connection->socket.async_read_some(boost::asio::buffer(connection->request),
                                       [self = shared_from_this(), connection](auto error, std::size_t) {
                                         if (!error) self->answer(connection);
                                       });
  }
  void answer(const std::shared_ptr<Connection>& connection) {
    boost::asio::async_write(connection->socket, boost::asio::buffer(script_.answer),
                             [self = shared_from_this(), connection](auto error, std::size_t) {
                               if (error || self->script_.close) return;
                               if (self->script_.answer_for_ever) return self->answer(connection);
                               self->serve(connection);
                             });
  }

  tcp::acceptor acceptor_;
  BackendScript script_;
  unsigned connections_ = 0;
};

}  // namespace anypop::healthmon
