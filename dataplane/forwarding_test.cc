// SPDX-License-Identifier: Apache-2.0
#include "dataplane/forwarding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "dataplane/control_api.h"

namespace anypop::dataplane {
namespace {

using testing::HasSubstr;

const MacAddress kPortMac({2, 0, 0, 0, 0, 1});
const MacAddress kBackendMac({2, 0, 0, 0, 0, 0x11});

PopConfig two_backends() {
  PopConfig config;
  ServiceConfig service;
  service.name = "web";
  service.vip = *IpAddress::parse("198.51.100.1");
  service.port = 80;
  service.table_size = 101;
  service.backends = {{.name = "b1", .address = *IpAddress::parse("10.1.0.11")},
                      {.name = "b2", .address = *IpAddress::parse("10.1.0.12"), .mac = kBackendMac}};
  config.services = {service};
  return config;
}

class ForwardingTest : public testing::Test {
 protected:
  ForwardingTest() { forwarding.publish_to(1); }
  std::uint64_t generation() const { return l4lb::generation(forwarding.snapshot()); }
  HttpResponse put_health(const std::string& body) {
    const ControlApi api{[this] {
                           return dataplane_api::Heartbeat{"i", generation(), {}};
                         },
                         [] { return dataplane_api::State{}; }, [] { return dataplane_api::Stats{}; },
                         [this](const dataplane_api::HealthUpdate& update) { return forwarding.set_health(update); }};
    return answer(api, {"PUT", "/v1/health", body});
  }

  PopConfig config = two_backends();
  Forwarding forwarding{config, kPortMac, 1500};
};

TEST_F(ForwardingTest, StartsHealthyAndResolvedOnlyByConfiguration) {
  EXPECT_EQ(generation(), 1U);
  EXPECT_TRUE(forwarding.backend(0, 0).healthy);
  EXPECT_EQ(forwarding.backend(0, 0).next_hop_mac, std::nullopt);
  EXPECT_EQ(forwarding.backend(0, 1).next_hop_mac, kBackendMac);
}

TEST_F(ForwardingTest, HealthMovesTheSlotsAndOnlyAChangeIsPublished) {
  EXPECT_EQ(put_health(R"({"backends":[{"service":"web","backend":"b1","healthy":false}]})").body,
            "{\"generation\":2}\n");
  EXPECT_EQ(l4lb::slots(forwarding.snapshot(), 0, 0), 0U);
  EXPECT_EQ(l4lb::slots(forwarding.snapshot(), 0, 1), 101U);
  EXPECT_EQ(put_health(R"({"backends":[{"service":"web","backend":"b1","healthy":false}]})").body,
            "{\"generation\":2}\n");
  EXPECT_EQ(put_health(R"({"backends":[]})").body, "{\"generation\":2}\n");
}

TEST_F(ForwardingTest, AWeightIsAShareOfTheConfiguredOne) {
  EXPECT_EQ(put_health(R"({"backends":[{"service":"web","backend":"b1","healthy":true,"weight_permille":0}]})").status,
            200U);
  EXPECT_EQ(l4lb::slots(forwarding.snapshot(), 0, 0), 0U);
  const auto answer =
      put_health(R"({"backends":[{"service":"web","backend":"b1","healthy":true,"weight_permille":1001}]})");
  EXPECT_EQ(answer.status, 400U);
  EXPECT_THAT(answer.body,
              HasSubstr("found weight_permille 1001 for backend 'b1' of service 'web', expected 0 to 1000"));
  EXPECT_EQ(forwarding.backend(0, 0).weight_permille, 0U);
}

TEST_F(ForwardingTest, AnUnknownNameChangesNothing) {
  const auto service =
      put_health(R"({"backends":[{"service":"web","backend":"b1","healthy":false},{"service":"dns","backend":"b1",)"
                 R"("healthy":false}]})");
  EXPECT_EQ(service.status, 400U);
  EXPECT_THAT(service.body, HasSubstr("unknown service 'dns'"));
  const auto backend = put_health(R"({"backends":[{"service":"web","backend":"b9","healthy":false}]})");
  EXPECT_EQ(backend.status, 400U);
  EXPECT_THAT(backend.body, HasSubstr("unknown backend 'b9' of service 'web'"));
  EXPECT_EQ(put_health("{").status, 400U);
  EXPECT_EQ(generation(), 1U);
  EXPECT_TRUE(forwarding.backend(0, 0).healthy);
}

TEST_F(ForwardingTest, NextHopsAreLearnedButConfiguredOnesStay) {
  const MacAddress learned({2, 0, 0, 0, 0, 0x99});
  ASSERT_TRUE(forwarding.set_next_hops([&](const IpAddress&) { return learned; }).ok());
  EXPECT_EQ(generation(), 2U);
  EXPECT_EQ(forwarding.backend(0, 0).next_hop_mac, learned);
  EXPECT_EQ(forwarding.backend(0, 1).next_hop_mac, kBackendMac);
  ASSERT_TRUE(forwarding.set_next_hops([](const IpAddress&) { return std::nullopt; }).ok());
  EXPECT_EQ(forwarding.backend(0, 0).next_hop_mac, std::nullopt);
  EXPECT_EQ(generation(), 3U);
}

TEST(Forwarding, AHungWorkerIsReportedAndTheChangeStandsAllTheSame) {
  const PopConfig config = two_backends();
  Forwarding forwarding(config, kPortMac, 1500);
  Published<l4lb::Snapshot>::Reader worker(forwarding.publish_to(1), 0);
  worker.online();
  EXPECT_EQ(forwarding.set_health({{{"web", "b1", false}}}).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(forwarding.backend(0, 0).healthy);
  EXPECT_EQ(l4lb::generation(forwarding.snapshot()), 2U);
  worker.offline();
}

TEST_F(ForwardingTest, TheControlSocketNamesWhatItDoesNotKnow) {
  const ControlApi api{[] { return dataplane_api::Heartbeat{}; }, [] { return dataplane_api::State{}; },
                       [] { return dataplane_api::Stats{}; },
                       [](const dataplane_api::HealthUpdate&) { return absl::OkStatus(); }};
  EXPECT_EQ(answer(api, {"GET", "/v1/heartbeat", ""}).status, 200U);
  EXPECT_EQ(answer(api, {"GET", "/v1/state?x=1", ""}).status, 200U);
  EXPECT_EQ(answer(api, {"GET", "/v1/stats", ""}).status, 200U);
  EXPECT_EQ(answer(api, {"GET", "/v2/stats", ""}).status, 404U);
  EXPECT_EQ(answer(api, {"DELETE", "/v1/state", ""}).status, 405U);
  EXPECT_THAT(answer(api, {"GET", "/v1/health", ""}).body, HasSubstr("expected PUT"));
}

}  // namespace
}  // namespace anypop::dataplane
