// SPDX-License-Identifier: Apache-2.0
// The monitor's API for operators and their tools: holds and the event log, on its Unix sockets. API.md has every path,
// who may use it, and every field; api_document_test.cc compares that page with what is really served.
//
// Two sockets, so that the kernel decides who may do what and nothing here has to be believed: whoever can open
// healthmon.sock (group anypop) gives orders, whoever can open healthmon-read.sock (group anypop-read) looks. Who gave
// an order is what the kernel says of the other end (SO_PEERCRED). One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>

#include "base/config.h"
#include "dataplane_api/http_server.h"

namespace anypop::healthmon {

std::filesystem::path read_only_socket(const PopConfig& config);
inline constexpr const char* kReadOnlyGroup = "anypop-read";

enum class Role : std::uint8_t { kReader, kOperator };

class Api {
 public:
  struct Sources {
    std::function<const PopConfig&()> config;                // as it is at the time of a request
    std::function<std::int64_t()> unix_ms;                   // for holds
    std::function<void(const boost::json::object&)> record;  // a line of the event log
    std::function<void()> holds_changed;                     // to be read again at once
    std::function<absl::Status()> reload;                    // pop.yaml; FailedPrecondition: it needs a restart
  };
  Api(boost::asio::io_context& io, Sources sources);
  ~Api();  // ends every stream
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // True if the request is for one of this API's paths, and is answered. Otherwise it belongs to somebody else.
  bool answer(const HttpRequest& request, Role role, const HttpServer::Reply& reply);

  // "GET /v1/events", …: everything that answer() serves, for the documentation's test and for error messages.
  static std::vector<std::string> routes();

 private:
  class Events;
  HttpResponse reload() const;
  HttpResponse list_holds() const;
  HttpResponse place_holds(const HttpRequest& request) const;
  HttpResponse release(const HttpRequest& request, std::string_view name) const;

  Sources sources_;
  std::shared_ptr<Events> events_;
};

// The order in the body of POST /v1/holds. Strict: an unknown key may be a misspelt `for`, and a hold without its end
// is another order. Errors are one line: key, what was found, what was expected. Pure.
struct HoldRequest {
  std::vector<std::string> announcements;
  std::string kind;
  std::string reason;
  std::int64_t for_ms = 0;  // 0: until released
  bool dry_run = false;
};
absl::StatusOr<HoldRequest> parse_hold_request(std::string_view body);

}  // namespace anypop::healthmon
