// SPDX-License-Identifier: Apache-2.0
// The part of HTTP/1.1 (RFC 9112) that the control sockets speak, as plain values.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace anypop {

// Who is at the other end of a Unix socket, by the kernel's word (SO_PEERCRED).
struct HttpPeer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct HttpRequest {
  std::string method;  // "GET", "PUT", …
  std::string target;  // path and query, as sent
  std::string body;
  std::optional<HttpPeer> peer = {};  // a server's; nullopt: not over a Unix socket
  std::string last_event_id = {};     // a server's: the header Last-Event-ID
};

// The body of an answer that goes on, such as server-sent events. One thread, the server's. Ends the answer when
// destroyed.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  // False: the client has gone, or has left more than 256 KiB unread, for which it is dropped.
  virtual bool send(std::string_view text) = 0;
  // False: the client has gone. To be asked now and then, because the connection counts until the stream is destroyed.
  virtual bool is_open() const = 0;
};

struct HttpResponse {
  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
  // Instead of a body: called once when the head is on its way; the answer lasts as long as somebody keeps the stream.
  std::function<void(std::shared_ptr<HttpStream>)> stream = {};
};

// {"error": message} with the given status.
HttpResponse http_error(unsigned status, const std::string& message);

}  // namespace anypop
