// SPDX-License-Identifier: Apache-2.0
#include "api_events.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include <boost/json/parse.hpp>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

constexpr auto kPoll = std::chrono::milliseconds(50);
constexpr unsigned kPollsPerComment = 300;  // every 15 s something is sent, so that a dead client is noticed

struct Event {
  std::int64_t unix_ns = 0;
  std::string name;
  std::string announcement;
};

std::optional<Event> read_event(std::string_view line) {
  json::error_code error;
  const json::value value = json::parse({line.data(), line.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) return std::nullopt;
  const auto text = [&](const char* key) {
    const json::value* found = object->if_contains(key);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
  };
  const json::value* when = object->if_contains("unix_ns");
  Event event{when != nullptr && when->is_int64() ? when->get_int64() : 0, text("event"), text("announcement")};
  // It becomes a line of the stream: a name is one word.
  const bool plain =
      std::all_of(event.name.begin(), event.name.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
  if (event.unix_ns <= 0 || event.name.empty() || !plain) return std::nullopt;
  return event;
}

bool wanted(const Event& event, const std::string& announcement) {
  return announcement.empty() || event.announcement.empty() || event.announcement == announcement;
}

std::string server_sent(const Event& event, std::string_view line) {
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", event.unix_ns, event.name, line);
}

// The value of `key` in "a=1&b=2"; nullopt: it is not there.
std::optional<std::string_view> query_value(std::string_view query, std::string_view key) {
  for (const std::string_view part : split(query, '&')) {
    if (part.starts_with(key) && part.size() > key.size() && part[key.size()] == '=')
      return part.substr(key.size() + 1);
  }
  return std::nullopt;
}

}  // namespace

Api::Events::Events(boost::asio::io_context& io, std::filesystem::path log) : path_(std::move(log)), timer_(io) {}

HttpResponse Api::Events::begin(const HttpRequest& request, const PopConfig& config) {
  const std::size_t mark = request.target.find('?');
  const std::string_view query =
      mark == std::string::npos ? std::string_view() : std::string_view(request.target).substr(mark + 1);
  Reader reader;
  if (const auto name = query_value(query, "announcement")) {
    if (config.find_announcement(*name) == nullptr) {
      return http_error(404, fmt::format("found announcement '{}', expected one of {}", escaped(name->substr(0, 100)),
                                         config.file.string()));
    }
    reader.announcement = std::string(*name);
  }
  const std::string_view after = query_value(query, "after").value_or(request.last_event_id);
  std::optional<std::int64_t> after_unix_ns;
  if (!after.empty()) {
    after_unix_ns = parse_number<std::int64_t>(after, 0, std::numeric_limits<std::int64_t>::max());
    if (!after_unix_ns) {
      return http_error(400,
                        fmt::format("after: found '{}', expected the id of an event", escaped(after.substr(0, 100))));
    }
  }
  HttpResponse response{200, "", "text/event-stream"};
  response.stream = [self = shared_from_this(), reader, after_unix_ns](std::shared_ptr<HttpStream> stream) mutable {
    reader.stream = std::move(stream);
    self->start(std::move(reader), after_unix_ns);
  };
  return response;
}

void Api::Events::start(Reader reader, std::optional<std::int64_t> after_unix_ns) {
  // Where the common reader stands, everybody has been told everything; so the new one is brought up to there.
  if (log_) poll();
  if (!log_) {
    log_.emplace(path_, bgpctl::EventReader::Begin::kEnd);
    [[maybe_unused]] const absl::Status begun = log_->read([](std::string_view) {});
  }
  std::string missed = ": the event log\n\n";
  if (after_unix_ns) {
    bgpctl::EventReader tail(path_, bgpctl::EventReader::Begin::kTail);
    [[maybe_unused]] const absl::Status read = tail.read([&](std::string_view line) {
      const auto event = read_event(line);
      if (event && event->unix_ns > *after_unix_ns && wanted(*event, reader.announcement)) {
        missed += server_sent(*event, line);
      }
    });
  }
  // As much as a client may leave unread; of more it gets the end.
  constexpr std::size_t kMissedMaxBytes = 200U << 10U;
  if (missed.size() > kMissedMaxBytes) {
    const std::size_t from = missed.find("\n\n", missed.size() - kMissedMaxBytes);
    missed.erase(0, from == std::string::npos ? missed.size() : from + 2);
  }
  if (!reader.stream->send(missed)) return;
  readers_.push_back(std::move(reader));
  if (readers_.size() == 1) {
    timer_.expires_after(kPoll);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error) self->poll();
    });
  }
}

void Api::Events::poll() {
  if (!log_) return;
  // That the log cannot be read now is no end: it is tried again.
  [[maybe_unused]] const absl::Status read = log_->read([this](std::string_view line) { tell(line); });
  const bool comment = ++polls_ % kPollsPerComment == 0;
  std::erase_if(readers_, [comment](const Reader& reader) {
    return !reader.stream->is_open() || (comment && !reader.stream->send(":\n\n"));
  });
  if (readers_.empty()) {
    log_.reset();
    timer_.cancel();
    return;
  }
  timer_.expires_after(kPoll);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error) self->poll();
  });
}

void Api::Events::tell(std::string_view line) {
  const auto event = read_event(line);
  if (!event) return;
  const std::string text = server_sent(*event, line);
  std::erase_if(readers_, [&](const Reader& reader) {
    return wanted(*event, reader.announcement) && !reader.stream->send(text);
  });
}

void Api::Events::end() {
  readers_.clear();
  log_.reset();
  timer_.cancel();
}

}  // namespace anypop::healthmon
