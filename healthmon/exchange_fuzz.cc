// SPDX-License-Identifier: Apache-2.0
// What a backend answers, over every protocol that a probe speaks: the first byte chooses the protocol and how the rest
// is cut into pieces.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "healthmon/dns_message.h"
#include "healthmon/exchange.h"

namespace {

using anypop::healthmon::Exchange;

void feed(Exchange& exchange, std::string_view answer, std::size_t piece) {
  (void)exchange.output();
  for (std::size_t at = 0; at < answer.size(); at += piece) {
    if (const auto result = exchange.input(answer.substr(at, piece))) {
      if (result->cause.empty()) std::abort();  // it would be taken for no result
      return;
    }
    (void)exchange.output();
  }
  if (exchange.closed().cause.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view answer(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t piece = 1 + (data[0] >> 2U) * 7U;
  anypop::DnsProbeConfig dns{.name = "example.com", .type = 15, .expected_answer = "10 mail.example.com"};
  switch (data[0] & 3U) {
    case 0: {
      static const auto question = anypop::healthmon::http_question({.http = {.expected_body = "o+k"}}, "host");
      feed(*anypop::healthmon::http_exchange(question), answer, piece);
      break;
    }
    case 1: feed(*anypop::healthmon::grpc_exchange({.grpc = {.service = "a"}}, "host"), answer, piece); break;
    case 2: feed(*anypop::healthmon::dns_exchange(dns, 0x1234), answer, piece); break;
    default:
      for (const std::uint16_t type :
           {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{15}, std::uint16_t{16}, std::uint16_t{28}}) {
        dns.type = type;
        (void)anypop::healthmon::check_dns_answer(dns, 0x1234, answer);
      }
  }
  return 0;
}
