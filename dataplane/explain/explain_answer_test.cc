// SPDX-License-Identifier: Apache-2.0
#include "explain_api/explain_answer.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop {
namespace {

using dataplane_api::ExplainRequest;

constexpr std::string_view kConfig = R"(
pop: test
dataplane: {ports: [{name: up, af_xdp: eth1}], hash_key: 00000000000000000000000000000000}
services:
- {name: web4, vip: 198.51.100.1, protocol: tcp, port: 80, table_size: 13, probe: {type: tcp}, forwarding: ipip,
   tunnel_source: ["172.16.0.1/32"], backends: [{name: b1, address: 10.0.0.1, mac: "02:00:00:00:00:01"}]}
announcements: [{name: all, prefixes: [198.51.100.0/24]}]
)";

struct World {
  PopConfig config = *parse_config(kConfig, "test.yaml");
  std::shared_ptr<const l4lb::Snapshot> snapshot = [this] {
    l4lb::SnapshotInput input{.backends = {{{.next_hop_mac = config.services[0].backends[0].mac}}}, .generation = 7};
    return l4lb::SnapshotBuilder(config.services, config.dataplane.hash_key).build(input);
  }();
};

ExplainRequest good() {
  return {.protocol = "tcp",
          .source = "192.0.2.1",
          .source_port = 4242,
          .destination = "198.51.100.1",
          .destination_port = 80};
}

TEST(ExplainAnswer, NamesWhatTheEngineFound) {
  const World world;
  const auto answer = explain_answer(world.config, *world.snapshot, good(), 0);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->generation, 7U);
  EXPECT_EQ(answer->verdict, "forward");
  EXPECT_EQ(answer->decision, "hashed");
  EXPECT_EQ(answer->service, "web4");
  EXPECT_EQ(answer->backend, "b1");
  EXPECT_EQ(answer->owner, "b1");
  EXPECT_EQ(answer->backend_address, "10.0.0.1");
  EXPECT_EQ(answer->slots, 13U);
  EXPECT_LT(answer->slot, 13U);
  EXPECT_EQ(answer->next_hop, "02:00:00:00:00:01");
  EXPECT_EQ(answer->outer_header.size(), 40U);
  EXPECT_EQ(answer->outer_header.substr(24), "ac1000010a000001");
  EXPECT_EQ(answer->sent_bytes, 60U);
}

TEST(ExplainAnswer, LeavesEmptyWhatThereIsNot) {
  const World world;
  ExplainRequest request = good();
  request.destination_port = 81;
  const auto answer = explain_answer(world.config, *world.snapshot, request, 0);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->verdict, "drop_no_service");
  EXPECT_EQ(answer->service + answer->backend + answer->owner + answer->next_hop + answer->outer_header, "");
}

TEST(ExplainAnswer, SaysWhatIsWrongWithTheQuestion) {
  const World world;
  const auto complaint = [&](auto change) {
    ExplainRequest request = good();
    change(request);
    return std::string(message(explain_answer(world.config, *world.snapshot, request, 0).status()));
  };
  EXPECT_EQ(complaint([](auto& r) { r.protocol = "sctp"; }), "protocol: found 'sctp', expected tcp or udp");
  EXPECT_EQ(complaint([](auto& r) { r.source_port = 65536; }), "source_port: found 65536, expected at most 65535");
  EXPECT_EQ(complaint([](auto& r) { r.ip_bytes = 9001; }), "ip_bytes: found 9001, expected at most 9000");
  EXPECT_EQ(complaint([](auto& r) { r.payload = "abc"; }),
            "payload: found 3 characters, expected bytes in hexadecimal");
  EXPECT_EQ(complaint([](auto& r) { r.source = "::1"; }),
            "found ::1 and 198.51.100.1, expected two addresses of one family");
  EXPECT_TRUE(complaint([](auto& r) { r.destination = "web"; }).starts_with("destination: "));
}

}  // namespace
}  // namespace anypop
