// SPDX-License-Identifier: Apache-2.0
// Any bytes as a QUIC datagram for a service that the first three bytes configure, against the reference engine's plain
// search.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "l4lb_testing/fuzz_input.h"
#include "quic.h"
#include "quic_routes.h"
#include "testing/reference_quic.h"

namespace {

using anypop::l4lb_testing::Frame;
using anypop::l4lb_testing::FuzzInput;
using anypop::l4lb_testing::require;
namespace l4lb = anypop::l4lb;

constexpr std::size_t kBackends = 6;

anypop::ServiceConfig make_service(FuzzInput& input) {
  const unsigned first = input.byte();
  const unsigned second = input.byte();
  anypop::ServiceConfig service;
  service.quic.push_back({.config_id = first % 7, .server_id_bytes = 1 + first / 16 % 15});
  if (second % 7 != first % 7 && second / 16 % 15 != first / 16 % 15) {
    service.quic.push_back({.config_id = second % 7, .server_id_bytes = 1 + second / 16 % 15});
  }
  for (std::size_t i = 0; i < kBackends; ++i) {
    anypop::BackendConfig& backend = service.backends.emplace_back();
    for (const anypop::QuicConfig& quic : service.quic) {
      backend.server_ids.emplace_back(quic.server_id_bytes, static_cast<char>(0xaa));
      backend.server_ids.back().back() = static_cast<char>(i + 1);
    }
  }
  return service;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const anypop::ServiceConfig service = make_service(input);
  std::vector<l4lb::BackendState> states(kBackends);
  const std::uint8_t sick = input.byte();
  for (std::size_t i = 0; i < kBackends; ++i) states[i].healthy = (sick >> i & 1U) == 0;
  const Frame datagram = input.rest();

  if (l4lb::is_quic_initial(datagram)) require(datagram.size() >= l4lb::kQuicInitialBytes);
  const auto id = l4lb::quic_destination_id(datagram);
  if (!id.empty()) require(id.data() > datagram.data() && id.data() + id.size() <= datagram.data() + datagram.size());

  anypop::l4lb_testing::Bytes bytes;
  for (const std::byte byte : datagram) bytes.push_back(std::to_integer<std::uint8_t>(byte));
  const auto expected = anypop::l4lb_testing::reference_quic(service, states, bytes);
  const l4lb::QuicRoutes routes(service, states);
  const std::uint16_t* const found = routes.find(datagram);
  require((found != nullptr) == expected.has_value());
  if (found != nullptr) require(*found == *expected);
  return 0;
}
