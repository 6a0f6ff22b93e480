// SPDX-License-Identifier: Apache-2.0
#include "healthmon/probe.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

tcp::endpoint endpoint_of(const ProbeTarget& target) {
  const auto bytes = target.address.bytes();
  if (target.address.family() == Family::kV4) {
    asio::ip::address_v4::bytes_type v4;
    std::copy(bytes.begin(), bytes.end(), v4.begin());
    return {asio::ip::address_v4(v4), target.probe.port};
  }
  asio::ip::address_v6::bytes_type v6;
  std::copy(bytes.begin(), bytes.end(), v6.begin());
  return {asio::ip::address_v6(v6), target.probe.port};
}

// "Connection refused" → "connection refused", but "HTTP …" stays.
std::string error_text(const beast::error_code& error) {
  std::string text = error.message();
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

}  // namespace

ProbeTarget probe_target(const ServiceConfig& service, const BackendConfig& backend) {
  std::string host = service.probe.host;
  if (host.empty()) {
    host = service.vip.family() == Family::kV6 ? fmt::format("[{}]", service.vip.to_string()) : service.vip.to_string();
  }
  ProbeTarget target{.probe = service.probe, .address = backend.address, .host = std::move(host)};
  if (target.probe.port == 0) target.probe.port = service.port;
  return target;
}

class Probe::Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(asio::io_context& io, const ProbeTarget& target, Handler handler)
      : io_(io), probe_(target.probe), handler_(std::move(handler)), socket_(io), deadline_(io) {
    request_.method(http::verb::get);
    request_.target(probe_.path);
    request_.version(11);
    request_.set(http::field::host, target.host);
    request_.set(http::field::user_agent, "anypop-healthmon/" ANYPOP_VERSION);
    request_.set(http::field::accept, "*/*");
    request_.set(http::field::connection, "close");
    parser_.header_limit(kProbeHeaderMaxBytes);
    parser_.body_limit(kProbeAnswerMaxBytes);
  }

  void start(const tcp::endpoint& endpoint) {
    deadline_.expires_after(std::chrono::milliseconds(probe_.timeout_ms));
    deadline_.async_wait([self = shared_from_this()](beast::error_code error) {
      if (!error) self->on_deadline();
    });
    beast::error_code error;
    socket_.open(endpoint.protocol(), error);
    if (error) {
      // Out of descriptors, or a family that this host does not have.
      asio::post(io_, [self = shared_from_this(), error] { self->finish(false, error_text(error)); });
      return;
    }
    socket_.async_connect(endpoint,
                          [self = shared_from_this()](beast::error_code failed) { self->on_connect(failed); });
  }

  void cancel() {
    handler_ = nullptr;
    close();
  }

 private:
  void on_connect(const beast::error_code& error) {
    if (!handler_) return;
    if (error) return finish(false, error_text(error));
    if (probe_.type == ProbeType::kTcp) return finish(true, "connected");
    stage_ = "waiting for the answer";
    http::async_write(socket_, request_, [self = shared_from_this()](beast::error_code failed, std::size_t) {
      if (!self->handler_) return;
      if (failed) return self->finish(false, error_text(failed));
      self->read();
    });
  }

  void read() {
    http::async_read(socket_, buffer_, parser_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (self->handler_) self->on_answer(error);
    });
  }

  void on_answer(const beast::error_code& error) {
    // A body over the limit is reported as an error, but after the status has been read.
    if (error && error != http::error::body_limit) {
      if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return finish(false, fmt::format("the answer's header is larger than {} bytes", kProbeHeaderMaxBytes));
      }
      if (error == http::error::end_of_stream) return finish(false, "closed without an answer");
      return finish(false, error_text(error));
    }
    const unsigned status = parser_.get().result_int();
    if (status == probe_.expected_status) return finish(true, fmt::format("HTTP {}", status));
    finish(false, fmt::format("HTTP {}, expected {}", status, probe_.expected_status));
  }

  void on_deadline() {
    if (!handler_) return;
    const auto late_by = asio::steady_timer::clock_type::now() - deadline_.expiry();
    const std::chrono::milliseconds timeout{probe_.timeout_ms};
    if (late_by > std::max(timeout, std::chrono::milliseconds(100))) return finish(false, "");
    finish(false, fmt::format("timeout after {} ms {}", timeout.count(), stage_));
  }

  void finish(bool ok, std::string cause) {
    close();
    std::exchange(handler_, nullptr)({ok, std::move(cause)});
  }

  void close() {
    deadline_.cancel();
    beast::error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
  }

  asio::io_context& io_;
  ProbeConfig probe_;
  Handler handler_;
  tcp::socket socket_;
  asio::steady_timer deadline_;
  std::string_view stage_ = "connecting";
  http::request<http::empty_body> request_;
  beast::flat_buffer buffer_{kProbeHeaderMaxBytes + kProbeAnswerMaxBytes};
  http::response_parser<http::string_body> parser_;
};

Probe::Probe(asio::io_context& io, const ProbeTarget& target, Handler handler)
    : attempt_(std::make_shared<Attempt>(io, target, std::move(handler))) {
  attempt_->start(endpoint_of(target));
}

Probe::~Probe() { attempt_->cancel(); }

}  // namespace anypop::healthmon
