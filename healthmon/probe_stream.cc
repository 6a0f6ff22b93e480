// SPDX-License-Identifier: Apache-2.0
// Probes over a connection: TCP, perhaps TLS, and an Exchange over it.
#include <array>
#include <cstdlib>
#include <optional>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "base/text.h"
#include "probe_attempt.h"
#include "probe_endpoint.h"

namespace anypop::healthmon {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using TlsStream = asio::ssl::stream<tcp::socket&>;

// "www.example.com:8443" and "[2001:db8::1]" are hosts of URLs; a certificate has the name alone.
std::string name_alone(std::string_view host) {
  if (host.starts_with('[')) return std::string(host.substr(1, host.find(']') - 1));
  return std::string(host.substr(0, host.find(':')));
}

std::unique_ptr<Exchange> make_exchange(const ProbeTarget& target) {
  switch (target.probe.type) {
    case ProbeType::kHttp:
    case ProbeType::kHttps: return http_exchange(target.http);
    case ProbeType::kGrpc: return grpc_exchange(target.probe, target.host);
    case ProbeType::kDns: return dns_exchange(target.probe.dns, static_cast<std::uint16_t>(::arc4random()));
    default: return nullptr;
  }
}

class StreamAttempt : public ProbeAttempt {
 public:
  StreamAttempt(asio::io_context& io, const ProbeTarget& target, Probe::Handler handler)
      : ProbeAttempt(io, target, std::move(handler)), socket_(io), exchange_(make_exchange(target)) {}

 protected:
  void begin() override {
    const auto endpoint = endpoint_of<tcp::endpoint>(target_);
    ErrorCode error;
    open_for(target_, socket_, error);
    if (error) return finish_soon(failure_to_open(error));
    socket_.async_connect(endpoint, [self = self_as<StreamAttempt>()](ErrorCode failed) {
      if (!self->over()) self->on_connect(failed);
    });
  }

  void close() override {
    ErrorCode ignored;
    if (!socket_.is_open()) return;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
  }

 private:
  void on_connect(const ErrorCode& error) {
    if (error) return fail(error);
    if (target_.tls) return handshake();
    talk();
  }

  void handshake() {
    stage_ = "in the TLS handshake";
    tls_.emplace(socket_, *target_.tls);
    const TlsProbeConfig& config = target_.probe.tls;
    const std::string name = config.server_name.empty() ? name_alone(target_.host) : config.server_name;
    ErrorCode ignored;
    // An address is no server name (RFC 6066, section 3).
    if (asio::ip::make_address(name, ignored); ignored) {
      ::SSL_ctrl(tls_->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 const_cast<char*>(name.c_str()));
    }
    if (target_.probe.type == ProbeType::kGrpc) {
      constexpr std::array<unsigned char, 3> kAlpn = {2, 'h', '2'};
      ::SSL_set_alpn_protos(tls_->native_handle(), kAlpn.data(), kAlpn.size());
    }
    if (config.verify) tls_->set_verify_callback(asio::ssl::host_name_verification(name), ignored);
    tls_->async_handshake(asio::ssl::stream_base::client, [self = self_as<StreamAttempt>(), name](ErrorCode error) {
      if (!self->over()) self->on_handshake(error, name);
    });
  }

  void on_handshake(const ErrorCode& error, const std::string& name) {
    if (!error) return talk();
    if (error.category() != asio::error::get_ssl_category() && error != asio::ssl::error::stream_truncated) {
      return fail(error);
    }
    if (ERR_GET_REASON(static_cast<unsigned long>(error.value())) != SSL_R_CERTIFICATE_VERIFY_FAILED) {
      return finish({false, fmt::format("TLS: {}", error.message())});
    }
    const long why = ::SSL_get_verify_result(tls_->native_handle());
    finish({false, fmt::format("TLS certificate: {}", why == X509_V_OK || why == X509_V_ERR_UNSPECIFIED
                                                          ? fmt::format("not for {}", escaped(name))
                                                          : ::X509_verify_cert_error_string(why))});
  }

  void talk() {
    if (!exchange_) return finish({true, "connected"});
    stage_ = "waiting for the answer";
    send();
    receive();
  }

  template <typename Operation>
  void on_stream(Operation operation) {
    if (tls_) {
      operation(*tls_);
    } else {
      operation(socket_);
    }
  }

  // One write at a time; what an answer asks for meanwhile goes out behind it.
  void send() {
    if (!sending_.empty()) return;
    sending_ = exchange_->output();
    if (sending_.empty()) return;
    on_stream([this](auto& stream) {
      asio::async_write(stream, asio::buffer(sending_),
                        [self = self_as<StreamAttempt>()](ErrorCode error, std::size_t) {
                          if (self->over()) return;
                          self->sending_.clear();
                          // An answer may have come before the other side closed; the reader will see the end of it.
                          if (error) self->send_error_ = error;
                          if (!error) self->send();
                        });
    });
  }

  void receive() {
    on_stream([this](auto& stream) {
      stream.async_read_some(asio::buffer(chunk_),
                             [self = self_as<StreamAttempt>()](ErrorCode error, std::size_t size) {
                               if (!self->over()) self->on_receive(error, size);
                             });
    });
  }

  void on_receive(const ErrorCode& error, std::size_t size) {
    if (size > 0) {
      if (const auto result = exchange_->input({chunk_.data(), size})) return finish(*result);
      send();
    }
    if (!error) return receive();
    // Many servers end a TLS connection without saying so; the exchange knows whether its answer is complete.
    if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) return on_end();
    fail(error);
  }

  void on_end() {
    const ProbeResult result = exchange_->closed();
    // The kernel tells of a reset once. If it told the writer, the reader sees an ordinary end.
    if (!result.ok && send_error_ == asio::error::connection_reset) return fail(send_error_);
    finish(result);
  }

  tcp::socket socket_;
  std::optional<TlsStream> tls_;
  std::unique_ptr<Exchange> exchange_;
  std::string sending_;
  ErrorCode send_error_;
  std::array<char, 4096> chunk_;  // not cleared: that would cost as much as the rest of it
};

}  // namespace

std::shared_ptr<ProbeAttempt> stream_attempt(asio::io_context& io, const ProbeTarget& target, Probe::Handler handler) {
  return std::make_shared<StreamAttempt>(io, target, std::move(handler));
}

}  // namespace anypop::healthmon
