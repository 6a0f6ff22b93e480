// SPDX-License-Identifier: Apache-2.0
// What a probe says over a connection, and what it makes of the answer: bytes out, bytes in, one result. Pure: no
// socket and no clock, so that the same code runs over TCP, over TLS and in the fuzzers. Bounded in memory by
// kAnswerMaxBytes and a header, whatever comes in. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/probe_config.h"
#include "healthmon/probe_result.h"

namespace anypop::healthmon {

inline constexpr std::size_t kHeaderMaxBytes = 8U << 10U;
inline constexpr std::size_t kAnswerMaxBytes = 64U << 10U;

class Exchange {
 public:
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // What is to be sent next; empty: nothing more for now. To be asked at first and after every input().
  virtual std::string output() = 0;
  // Takes what has come in; a result ends the exchange.
  virtual std::optional<ProbeResult> input(std::string_view bytes) = 0;
  // The other side has closed.
  virtual ProbeResult closed() = 0;

 protected:
  Exchange() = default;
};

// The request and the expectations of an HTTP probe, made ready once for all the exchanges that share them.
struct HttpQuestion;
// `host` is the Host header.
std::shared_ptr<const HttpQuestion> http_question(const ProbeConfig& probe, std::string_view host);
// An HTTP/1.1 request (RFC 9112). The status must be an expected one and the answer complete; of a larger body the
// first kAnswerMaxBytes count as complete, and expected_body is looked for in them.
std::unique_ptr<Exchange> http_exchange(std::shared_ptr<const HttpQuestion> question);
// grpc.health.v1.Health/Check over HTTP/2, which must say SERVING. `authority`: host and port.
std::unique_ptr<Exchange> grpc_exchange(const ProbeConfig& probe, std::string_view authority);
// A DNS query over TCP (RFC 7766), as check_dns_answer() judges it. `id` should be random.
std::unique_ptr<Exchange> dns_exchange(const DnsProbeConfig& probe, std::uint16_t id);

}  // namespace anypop::healthmon
