// SPDX-License-Identifier: Apache-2.0
// GET /v1/events: the event log as server-sent events (HTML Living Standard, section 9.2). Read from the file, so that
// what bgpctl writes is told too, and so that a reader who comes back hears what it has missed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "bgpctl/event_reader.h"
#include "healthmon/api.h"

namespace anypop::healthmon {

// One thread. Each reader holds what it has not read yet, 256 KiB at most.
class Api::Events : public std::enable_shared_from_this<Events> {
 public:
  Events(boost::asio::io_context& io, std::filesystem::path log);

  // `after` in the query or the header Last-Event-ID: what came after the event of this number and is in the last
  // 256 KiB of the log comes first. `announcement` in the query: only what names it, or none.
  HttpResponse begin(const HttpRequest& request, const PopConfig& config);
  // Ends every stream.
  void end();

 private:
  struct Reader {
    std::shared_ptr<HttpStream> stream;
    std::string announcement;  // empty: everything
  };
  void start(Reader reader, std::optional<std::int64_t> after_unix_ns);
  void poll();
  void tell(std::string_view line);

  std::filesystem::path path_;
  boost::asio::steady_timer timer_;
  std::optional<bgpctl::EventReader> log_;  // while there is a reader
  std::vector<Reader> readers_;
  unsigned polls_ = 0;
};

}  // namespace anypop::healthmon
