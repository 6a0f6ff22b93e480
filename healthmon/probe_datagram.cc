// SPDX-License-Identifier: Apache-2.0
// Probes by datagrams: one out, answers in, until one of them is the answer. A lost datagram is a failed probe: how
// many of them make a backend unhealthy is the business of rise and fall.
#include <array>
#include <cstdlib>

#include <absl/strings/escaping.h>
#include <boost/asio/ip/udp.hpp>

#include "base/text.h"
#include "healthmon/dns_message.h"
#include "probe_attempt.h"
#include "probe_endpoint.h"

namespace anypop::healthmon {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using ErrorCode = boost::system::error_code;

class DatagramAttempt : public ProbeAttempt {
 public:
  DatagramAttempt(asio::io_context& io, const ProbeTarget& target, Probe::Handler handler)
      : ProbeAttempt(io, target, std::move(handler)), socket_(io) {}

 protected:
  virtual std::string payload() = 0;
  virtual void on_answer(std::string_view answer) = 0;  // finishes, or waits for another by receive()

  void begin() override {
    stage_ = "waiting for the answer";
    const auto endpoint = endpoint_of<udp::endpoint>(target_);
    ErrorCode error;
    open_for(target_, socket_, error);
    // Connected, so that only this backend is heard, and its ICMP errors too.
    if (!error) socket_.connect(endpoint, error);
    if (!error) socket_.non_blocking(true, error);
    if (!error) socket_.send(asio::buffer(payload()), 0, error);
    if (error) return finish_soon(failure_to_open(error));
    receive();
  }

  void receive() {
    socket_.async_receive(asio::buffer(answer_),
                          [self = self_as<DatagramAttempt>()](ErrorCode error, std::size_t size) {
                            if (self->over()) return;
                            if (error) return self->fail(error);
                            self->on_answer({self->answer_.data(), size});
                          });
  }

  void close() override {
    ErrorCode ignored;
    socket_.close(ignored);
  }

 private:
  udp::socket socket_;
  std::array<char, 4096> answer_{};
};

class UdpAttempt : public DatagramAttempt {
 public:
  using DatagramAttempt::DatagramAttempt;

 protected:
  std::string payload() override { return target_.probe.udp.payload; }
  void on_answer(std::string_view answer) override {
    if (answer.starts_with(target_.probe.udp.expected_prefix)) {
      return finish({true, fmt::format("answered {} bytes", answer.size())});
    }
    finish({false, fmt::format("answered {} bytes that begin with {}", answer.size(),
                               absl::BytesToHexString(std::string(answer.substr(0, 16))))});
  }
};

class DnsAttempt : public DatagramAttempt {
 public:
  DnsAttempt(asio::io_context& io, const ProbeTarget& target, Probe::Handler handler)
      : DatagramAttempt(io, target, std::move(handler)), id_(static_cast<std::uint16_t>(::arc4random())) {}

 protected:
  std::string payload() override { return dns_query(target_.probe.dns, id_); }

  void on_answer(std::string_view answer) override {
    const DnsVerdict verdict = check_dns_answer(target_.probe.dns, id_, answer);
    switch (verdict.kind) {
      case DnsVerdict::Kind::kNotOurs: return receive();
      case DnsVerdict::Kind::kJudged: return finish(verdict.result);
      case DnsVerdict::Kind::kTruncated: break;
    }
    stage_ = "waiting for the answer over TCP";
    over_tcp_ = stream_attempt(io_, target_, [self = std::weak_ptr(self_as<DnsAttempt>())](const ProbeResult& result) {
      if (const auto attempt = self.lock()) attempt->finish(result);
    });
    over_tcp_->start();
  }

  void close() override {
    DatagramAttempt::close();
    if (over_tcp_) over_tcp_->cancel();
  }

 private:
  std::uint16_t id_;
  std::shared_ptr<ProbeAttempt> over_tcp_;
};

}  // namespace

std::shared_ptr<ProbeAttempt> udp_attempt(asio::io_context& io, const ProbeTarget& target, Probe::Handler handler) {
  return std::make_shared<UdpAttempt>(io, target, std::move(handler));
}

std::shared_ptr<ProbeAttempt> dns_attempt(asio::io_context& io, const ProbeTarget& target, Probe::Handler handler) {
  return std::make_shared<DnsAttempt>(io, target, std::move(handler));
}

}  // namespace anypop::healthmon
