// SPDX-License-Identifier: Apache-2.0
// HTTP requests to a daemon's Unix socket.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>

#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>

#include "dataplane_api/http.h"

namespace anypop {

// One request, for programs that do one thing and leave. Blocks for at most `timeout`. Unavailable: nobody serves the
// socket; DeadlineExceeded: no complete answer in time; PermissionDenied. Every message names the socket.
absl::StatusOr<HttpResponse> http_call(const std::filesystem::path& socket, const HttpRequest& request,
                                       std::chrono::milliseconds timeout);

// A connection that is kept open, for a daemon that asks often. One request at a time; a second one before the first
// has been answered is refused with FailedPrecondition. The handler always runs from the io_context, never inside
// call(). Because the connection stays open, the death of the other side is seen when it happens: see on_closed.
class HttpConnection {
 public:
  using Handler = std::function<void(absl::StatusOr<HttpResponse>)>;

  HttpConnection(boost::asio::io_context& io, std::filesystem::path socket);
  ~HttpConnection();  // pending handlers are not called any more
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // Connects if need be. After an error, a timeout included, the connection is closed and the next call opens a new
  // one.
  void call(const HttpRequest& request, std::chrono::milliseconds timeout, Handler handler);
  // Called when the other side closes the connection while no request is pending.
  void on_closed(std::function<void()> handler);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace anypop
