// SPDX-License-Identifier: Apache-2.0
#include "quic_routes.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "flow.h"
#include "l4lb/pipeline.h"
#include "l4lb_testing/packets.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;

constexpr std::size_t kBackends = 300;

// Unique.
std::string server_id(std::size_t backend, std::size_t bytes) {
  std::string id(bytes, '\0');
  id[bytes - 2] = static_cast<char>(backend >> 8U);
  id[bytes - 1] = static_cast<char>(backend);
  return id;
}

ServiceConfig make_service(Family family = Family::kV4) {
  const bool v4 = family == Family::kV4;
  ServiceConfig service{.name = "web", .vip = *IpAddress::parse(v4 ? "198.51.100.1" : "2001:db8:53::1")};
  service.protocol = Protocol::kUdp;
  service.port = 443;
  service.table_size = 4099;
  service.quic = {{.config_id = 2, .server_id_bytes = 2}, {.config_id = 5, .server_id_bytes = 15}};
  for (std::size_t i = 0; i < kBackends; ++i) {
    const std::string address =
        v4 ? fmt::format("10.1.{}.{}", i / 250, 1 + i % 250) : fmt::format("2001:db8:a::{:x}", 1 + i);
    service.backends.push_back({.name = fmt::format("b{}", i),
                                .address = *IpAddress::parse(address),
                                .server_ids = {server_id(i, 2), server_id(i, 15)}});
  }
  return service;
}

// A short header.
Frame datagram(std::size_t backend, unsigned config, std::size_t bytes) {
  Frame made = {std::byte{0x40}, static_cast<std::byte>(config << 5U)};
  for (const char byte : server_id(backend, bytes)) made.push_back(static_cast<std::byte>(byte));
  made.resize(40, std::byte{0x55});
  return made;
}

TEST(QuicRoutes, FindEveryServerInEveryConfiguration) {
  const ServiceConfig service = make_service();
  std::vector<BackendState> states(kBackends);
  states[7].healthy = false;
  states[8].weight_permille = 0;
  const QuicRoutes routes(service, states);
  ASSERT_TRUE(routes.any());
  for (std::size_t i = 0; i < kBackends; ++i) {
    for (const auto& [config, bytes] : {std::pair{2U, 2U}, std::pair{5U, 15U}}) {
      const std::uint16_t* const found = routes.find(datagram(i, config, bytes));
      ASSERT_EQ(found == nullptr, i == 7) << i;
      ASSERT_TRUE(found == nullptr || *found == i) << i;
    }
  }
  EXPECT_EQ(routes.find(datagram(kBackends, 2, 2)), nullptr);
  for (const unsigned config : {0U, 1U, 3U, 4U, 6U, 7U}) EXPECT_EQ(routes.find(datagram(1, config, 2)), nullptr);
}

TEST(QuicRoutes, LengthsTellServerIdsApart) {
  ServiceConfig service;
  service.quic = {{.config_id = 0, .server_id_bytes = 1}, {.config_id = 1, .server_id_bytes = 2}};
  service.backends.push_back({.server_ids = {std::string(1, '\0'), std::string("\x07\0", 2)}});
  service.backends.push_back({.server_ids = {std::string(1, '\x07'), std::string(2, '\0')}});
  const QuicRoutes routes(service, std::vector<BackendState>(2));
  const auto find = [&](std::initializer_list<unsigned> id) {
    Frame short_header = {std::byte{0x40}};
    for (const unsigned byte : id) short_header.push_back(static_cast<std::byte>(byte));
    short_header.resize(30);
    return *routes.find(short_header);
  };
  EXPECT_EQ(find({0x00, 0}), 0);
  EXPECT_EQ(find({0x00, 7}), 1);
  EXPECT_EQ(find({0x20, 7, 0}), 0);
  EXPECT_EQ(find({0x20, 0, 0}), 1);
}

TEST(QuicRoutes, AServiceWithoutQuicHasNone) {
  ServiceConfig service = make_service();
  service.quic.clear();
  EXPECT_FALSE(QuicRoutes(service, std::vector<BackendState>(kBackends)).any());
  EXPECT_FALSE(QuicRoutes().any());
}

template <class F>
class QuicMigration : public testing::Test {};
using Families = testing::Types<V4, V6>;
TYPED_TEST_SUITE(QuicMigration, Families);

// The client moves with every packet, while half of the backends change.
TYPED_TEST(QuicMigration, AConnectionStaysWithItsServer) {
  constexpr bool kV4 = TypeParam::kFamily == Family::kV4;
  constexpr std::size_t kMine = 42;
  const std::vector<ServiceConfig> services = {make_service(TypeParam::kFamily)};
  SnapshotBuilder builder(services, {1, 2, 3});
  SnapshotInput input{.backends = {std::vector<BackendState>(kBackends)}};
  for (BackendState& state : input.backends[0]) state.next_hop_mac = MacAddress({2, 0, 0, 0, 0, 1});
  Counters counters(services);
  WorkerState worker{EngineConfig{}};
  std::size_t elsewhere = 0;
  const auto send = [&](std::size_t step) {
    const std::string client = kV4 ? fmt::format("192.0.2.{}", step) : fmt::format("2001:db8:c::{:x}", step);
    const Frame frame = eth()
                            .ip({.source = client, .destination = kV4 ? "198.51.100.1" : "2001:db8:53::1"})
                            .udp({.source = static_cast<std::uint16_t>(1000 + step), .destination = 443})
                            .raw(datagram(kMine, step % 2 == 0 ? 2 : 5, step % 2 == 0 ? 2 : 15));
    l4lb_testing::Burst burst({&frame, 1});
    process_burst(*builder.build(input), burst.packets(), 0, worker, counters);
    EXPECT_EQ(burst[0].verdict, Verdict::kForward);
    return burst[0];
  };
  for (std::size_t step = 0; step < 100; ++step) {
    for (std::size_t i = 0; i < kBackends; ++i) input.backends[0][i].healthy = i == kMine || (i + step) % 2 == 0;
    input.backends[0][kMine].weight_permille = step < 50 ? kWholeWeight : 0;
    const Packet packet = send(step);
    EXPECT_EQ(packet.backend, kMine) << step;
    EXPECT_EQ(packet.chosen_by, ChosenBy::kConnectionId);
  }
  input.backends[0][kMine].healthy = false;
  for (std::size_t step = 100; step < 120; ++step) {
    const Packet packet = send(step);
    EXPECT_NE(packet.backend, kMine);
    EXPECT_NE(packet.chosen_by, ChosenBy::kConnectionId);
    elsewhere += packet.backend != kNone ? 1 : 0;
  }
  EXPECT_EQ(elsewhere, 20) << "what names a dead server follows its flow";
}

}  // namespace
}  // namespace anypop::l4lb
