// SPDX-License-Identifier: Apache-2.0
// An HTTP server on a Unix socket, for a daemon's control interface, or on a TCP port for its pages.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>

#include "dataplane_api/http.h"

namespace anypop {

struct HttpServerOptions {
  std::filesystem::path socket_path;
  std::string tcp_listen = {};   // instead of the socket: an address and a port, "127.0.0.1:9473" or "[::1]:9473"
  std::string group = "anypop";  // owner group of the socket; skipped if there is no such group
  std::size_t body_max_bytes = 1U << 20U;  // a larger request gets 413
  // One more closes the one that has waited longest, first among those that have never asked anything.
  std::size_t connections_max = 64;
  std::chrono::milliseconds request_timeout{10'000};  // for an idle or slow client
};

// Accepts on the socket until destroyed, and then removes it. Handlers run on the io_context's thread, one at a time
// per thread, and must not block. Nothing a client sends can make it throw, stall others, or hold more than
// connections_max x body_max_bytes.
class HttpServer {
 public:
  using Handler = std::function<HttpResponse(const HttpRequest&)>;
  // To be called once, on the io_context's thread, now or later. A client that went away meanwhile is no error.
  using Reply = std::function<void(HttpResponse)>;
  using AsyncHandler = std::function<void(const HttpRequest&, Reply)>;

  // AlreadyExists: a living process serves this socket. A socket that nobody serves is replaced. Other errors name the
  // path.
  static absl::StatusOr<std::unique_ptr<HttpServer>> listen(boost::asio::io_context& io, HttpServerOptions options,
                                                            Handler handler);
  // For a handler whose answer may take a while. The request is valid only during the call.
  static absl::StatusOr<std::unique_ptr<HttpServer>> listen_async(boost::asio::io_context& io,
                                                                  HttpServerOptions options, AsyncHandler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  class Impl;
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace anypop
