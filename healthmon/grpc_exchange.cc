// SPDX-License-Identifier: Apache-2.0
// HTTP/2 and HPACK are libnghttp2's, which does no I/O of its own; the two protobuf messages of one field each are
// written out by hand (https://protobuf.dev/programming-guides/encoding).
#include <array>
#include <cstring>

#include <nghttp2/nghttp2.h>

#include "base/text.h"
#include "healthmon/exchange.h"

namespace anypop::healthmon {
namespace {

constexpr std::size_t kMessageMaxBytes = 1024;
constexpr std::size_t kFramePrefixBytes = 5;  // compressed flag and length of a gRPC message

// HealthCheckRequest { string service = 1; } behind its length prefix.
std::string request_message(const std::string& service) {
  std::string message;
  if (!service.empty()) {
    message += '\x0a';
    for (std::size_t length = service.size();; length >>= 7U) {
      message += static_cast<char>((length & 0x7fU) | (length > 0x7fU ? 0x80U : 0U));
      if (length <= 0x7fU) break;
    }
    message += service;
  }
  const auto size = static_cast<unsigned>(message.size());
  std::string framed{'\0'};
  for (const unsigned shift : {24U, 16U, 8U, 0U}) framed += static_cast<char>(size >> shift & 0xffU);
  return framed + message;
}

// HealthCheckResponse { ServingStatus status = 1; }: an absent field is 0. nullopt: no such message.
std::optional<unsigned> serving_status(std::string_view framed) {
  if (framed.size() < kFramePrefixBytes || framed[0] != 0) return std::nullopt;
  const std::string_view message = framed.substr(kFramePrefixBytes);
  if (message.empty()) return 0;
  if (message.size() != 2 || message[0] != '\x08' || static_cast<unsigned char>(message[1]) > 0x7fU)
    return std::nullopt;
  return static_cast<unsigned>(message[1]);
}

std::string_view status_name(unsigned status) {
  constexpr std::array<std::string_view, 4> kNames = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
  return status < kNames.size() ? kNames[status] : "a status that is not in the protocol";
}

struct Deleter {
  void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  void operator()(nghttp2_session_callbacks* callbacks) const { nghttp2_session_callbacks_del(callbacks); }
};

class GrpcExchange : public Exchange {
 public:
  GrpcExchange(const ProbeConfig& probe, std::string_view authority) : message_(request_message(probe.grpc.service)) {
    nghttp2_session_callbacks* made = nullptr;
    if (nghttp2_session_callbacks_new(&made) != 0) return;
    const std::unique_ptr<nghttp2_session_callbacks, Deleter> callbacks(made);
    nghttp2_session_callbacks_set_on_header_callback(made, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, on_stream_close);
    nghttp2_session* session = nullptr;
    if (nghttp2_session_client_new(&session, made, this) != 0) return;
    session_.reset(session);
    submit(probe, std::string(authority));
  }

  std::string output() override {
    std::string out;
    const std::uint8_t* data = nullptr;
    while (session_ && out.size() < kAnswerMaxBytes) {
      const ssize_t size = nghttp2_session_mem_send(session_.get(), &data);
      if (size <= 0) break;
      out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    }
    return out;
  }

  std::optional<ProbeResult> input(std::string_view bytes) override {
    received_ += bytes.size();
    if (!session_) return ProbeResult{false, "no memory for HTTP/2", Evidence::kLocal};
    const ssize_t used =
        nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    if (used < 0) return ProbeResult{false, fmt::format("no HTTP/2: {}", nghttp2_strerror(static_cast<int>(used)))};
    if (ended_) return judge();
    if (nghttp2_session_want_read(session_.get()) == 0) return closed();
    if (received_ > kAnswerMaxBytes) {
      return ProbeResult{false, fmt::format("more than {} bytes without an answer", kAnswerMaxBytes)};
    }
    return std::nullopt;
  }

  ProbeResult closed() override { return {false, "closed without an answer"}; }

 private:
  void submit(const ProbeConfig& probe, const std::string& authority) {
    nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, nullptr, 0);
    const auto header = [](std::string_view name, std::string_view value) {
      const auto bytes = [](std::string_view text) {
        return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
      };
      return nghttp2_nv{bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
    };
    const std::array headers = {header(":method", "POST"),
                                header(":scheme", probe.tls.enabled ? "https" : "http"),
                                header(":path", "/grpc.health.v1.Health/Check"),
                                header(":authority", authority),
                                header("content-type", "application/grpc"),
                                header("user-agent", "anypop-healthmon/" ANYPOP_VERSION),
                                header("te", "trailers")};
    nghttp2_data_provider body{.source = {.ptr = &message_}, .read_callback = read_body};
    stream_ = nghttp2_submit_request(session_.get(), nullptr, headers.data(), headers.size(), &body, nullptr);
  }

  static ssize_t read_body(nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t room, std::uint32_t* flags,
                           nghttp2_data_source* source, void*) {
    std::string& message = *static_cast<std::string*>(source->ptr);
    const std::size_t size = std::min(room, message.size());
    std::memcpy(out, message.data(), size);
    message.erase(0, size);
    if (message.empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* self_pointer) {
    auto& self = *static_cast<GrpcExchange*>(self_pointer);
    if (frame->hd.stream_id != self.stream_) return 0;
    const std::string_view key(reinterpret_cast<const char*>(name), name_size);
    const std::string_view text(reinterpret_cast<const char*>(value), std::min<std::size_t>(value_size, 100));
    if (key == ":status") self.http_status_ = text;
    if (key == "grpc-status") self.grpc_status_ = text;
    if (key == "grpc-message") self.grpc_message_ = text;
    return 0;
  }

  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* data, std::size_t size,
                     void* self_pointer) {
    auto& self = *static_cast<GrpcExchange*>(self_pointer);
    if (stream != self.stream_) return 0;
    if (self.answer_.size() + size > kMessageMaxBytes) return NGHTTP2_ERR_CALLBACK_FAILURE;
    self.answer_.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }

  static int on_stream_close(nghttp2_session*, std::int32_t stream, std::uint32_t error, void* self_pointer) {
    auto& self = *static_cast<GrpcExchange*>(self_pointer);
    if (stream != self.stream_) return 0;
    self.ended_ = true;
    self.reset_code_ = error;
    return 0;
  }

  ProbeResult judge() const {
    if (reset_code_ != NGHTTP2_NO_ERROR && grpc_status_.empty()) {
      return {false, fmt::format("stream reset: {}", nghttp2_http2_strerror(reset_code_))};
    }
    if (http_status_ != "200") return {false, fmt::format("HTTP {}, expected 200", escaped(http_status_))};
    if (grpc_status_ != "0") {
      return {false, fmt::format("gRPC status {}{}{}", grpc_status_.empty() ? "missing" : escaped(grpc_status_),
                                 grpc_message_.empty() ? "" : ": ", escaped(grpc_message_))};
    }
    const std::optional<unsigned> status = serving_status(answer_);
    if (!status) return {false, "no HealthCheckResponse in the answer"};
    if (*status == 1) return {true, "SERVING"};
    return {false, fmt::format("{}, expected SERVING", status_name(*status))};
  }

  std::unique_ptr<nghttp2_session, Deleter> session_;
  std::int32_t stream_ = -1;
  std::string message_;
  std::size_t received_ = 0;
  std::string http_status_;
  std::string grpc_status_;
  std::string grpc_message_;
  std::string answer_;
  bool ended_ = false;
  std::uint32_t reset_code_ = 0;
};

}  // namespace

std::unique_ptr<Exchange> grpc_exchange(const ProbeConfig& probe, std::string_view authority) {
  return std::make_unique<GrpcExchange>(probe, authority);
}

}  // namespace anypop::healthmon
