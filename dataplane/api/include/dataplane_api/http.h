// SPDX-License-Identifier: Apache-2.0
// The part of HTTP/1.1 (RFC 9112) that the control sockets speak, as plain values.
#pragma once

#include <string>

namespace anypop {

struct HttpRequest {
  std::string method;  // "GET", "PUT", …
  std::string target;  // path and query, as sent
  std::string body;
};

struct HttpResponse {
  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
};

// {"error": message} with the given status.
HttpResponse http_error(unsigned status, const std::string& message);

}  // namespace anypop
