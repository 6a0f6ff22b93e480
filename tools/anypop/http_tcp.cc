// SPDX-License-Identifier: Apache-2.0
#include "http_tcp.h"

#include <memory>
#include <optional>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "base/text.h"

namespace anypop::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::uint64_t kBodyMaxBytes = 16U << 20U;

struct Authority {
  std::string host;
  std::string port;
};

// The part of RFC 3986 that is needed here: http://host:port with an IPv6 address in brackets.
std::optional<Authority> parse_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return std::nullopt;
  url.remove_prefix(kScheme.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  const std::size_t colon = url.rfind(':');
  if (colon == std::string_view::npos || !parse_number<std::uint16_t>(url.substr(colon + 1), 1, 65535))
    return std::nullopt;
  std::string_view host = url.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.empty() || host.find_first_of("/@[]") != std::string_view::npos) return std::nullopt;
  return Authority{std::string(host), std::string(url.substr(colon + 1))};
}

// One exchange: resolve → connect → write → read, each from the handler of the one before.
class Exchange {
 public:
  Exchange(const Authority& to, const std::string& target) : request_(http::verb::get, target, 11) {
    request_.set(http::field::host, to.host);
    request_.set(http::field::connection, "close");
    parser_.body_limit(kBodyMaxBytes);
    resolver_.async_resolve(to.host, to.port, [this](auto error, const auto& found) {
      if (failed(error)) return;
      stream_.async_connect(found, [this](auto connected, const auto&) { write(connected); });
    });
  }
  // Empty: not within the time.
  std::optional<beast::error_code> run(std::chrono::milliseconds timeout) {
    io_.run_for(timeout);
    return result_;
  }
  http::response<http::string_body>& response() { return parser_.get(); }

 private:
  void write(beast::error_code error) {
    if (failed(error)) return;
    http::async_write(stream_, request_, [this](auto written, std::size_t) {
      if (failed(written)) return;
      http::async_read(stream_, buffer_, parser_, [this](auto read, std::size_t) { result_ = read; });
    });
  }
  bool failed(beast::error_code error) {
    if (error) result_ = error;
    return !!error;
  }

  asio::io_context io_{1};
  asio::ip::tcp::resolver resolver_{io_};
  beast::tcp_stream stream_{io_};
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  http::response_parser<http::string_body> parser_;
  std::optional<beast::error_code> result_;
};

}  // namespace

absl::StatusOr<std::string> http_get(const std::string& url, const std::string& target,
                                     std::chrono::milliseconds timeout) {
  const auto authority = parse_url(url);
  if (!authority) return invalid_argument("found '{}', expected http://HOST:PORT", escaped(url));
  Exchange exchange(*authority, target);
  const auto error = exchange.run(timeout);
  if (!error) return deadline_exceeded("{}: no answer within {} ms", escaped(url), timeout.count());
  if (*error) return unavailable("{}: {}", escaped(url), error->message());
  auto& response = exchange.response();
  if (response.result() != http::status::ok) {
    return unavailable("{}: {} answered {}", escaped(url), target, response.result_int());
  }
  return std::move(response.body());
}

}  // namespace anypop::cli
