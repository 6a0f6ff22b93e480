// SPDX-License-Identifier: Apache-2.0
#include "explain_api/explain_answer.h"

#include <absl/strings/str_replace.h>
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
   tunnel_source: ["172.16.0.1/32"], TRACK, backends: [{name: b1, address: 10.0.0.1, mac: "02:00:00:00:00:01"}]}
announcements: [{name: all, prefixes: [198.51.100.0/24]}]
)";

struct World {
  explicit World(std::string_view track = "track: changes")
      : config(*parse_config(
            absl::StrReplaceAll({kConfig.data(), kConfig.size()}, {{"TRACK", {track.data(), track.size()}}}),
            "test.yaml")),
        snapshot(build()) {}
  std::shared_ptr<const l4lb::Snapshot> build() const {
    l4lb::SnapshotInput input{.backends = {{{.next_hop_mac = config.services[0].backends[0].mac}}}, .generation = 7};
    return l4lb::SnapshotBuilder(config.services, config.dataplane.hash_key).build(input);
  }
  PopConfig config;
  std::shared_ptr<const l4lb::Snapshot> snapshot;
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

// A table that has met the flow of good().
void meet(const World& world, l4lb::WorkerState& state, bool closes = false) {
  auto memory = *l4lb::make_packet({.source = *IpAddress::parse("192.0.2.1"),
                                    .destination = *IpAddress::parse("198.51.100.1"),
                                    .source_port = 4242,
                                    .destination_port = 80});
  constexpr std::size_t kTcpFlagsAt = l4lb::kHeadroomBytes + 14 + 20 + 13;
  if (closes) memory[kTcpFlagsAt] |= std::byte{1};
  l4lb::Packet packet{.data = memory.data() + l4lb::kHeadroomBytes,
                      .length_bytes = static_cast<std::uint32_t>(memory.size()) - l4lb::kHeadroomBytes,
                      .headroom_bytes = l4lb::kHeadroomBytes};
  l4lb::Counters counters(*world.snapshot);
  process_burst(*world.snapshot, std::span(&packet, 1), 0, state, counters);
}

TEST(ExplainAnswer, TellsWhoseRecordsThereAre) {
  const World world("track: always");
  l4lb::WorkerState idle({.flow_records = 64});
  l4lb::WorkerState busy({.flow_records = 64});
  l4lb::WorkerState closing({.flow_records = 64});
  meet(world, busy);
  meet(world, closing, true);
  const std::vector<const l4lb::FlowTable*> workers = {&idle.flows, &busy.flows};
  const std::vector<const l4lb::FlowTable*> left_over = {&closing.flows};
  const auto answer = explain_answer(world.config, *world.snapshot, good(), 0, {workers, left_over});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->decision, "tracked");
  ASSERT_EQ(answer->records.size(), 2U);
  EXPECT_EQ(answer->records[0].worker, 1U);
  EXPECT_FALSE(answer->records[0].left_over);
  EXPECT_FALSE(answer->records[0].closing);
  EXPECT_EQ(answer->records[0].backend, "b1");
  EXPECT_EQ(answer->records[1].worker, 0U);
  EXPECT_TRUE(answer->records[1].left_over);
  EXPECT_TRUE(answer->records[1].closing);
}

TEST(ExplainAnswer, SaysTheWayOrWhyThereIsNone) {
  const auto way = [](const IpAddress& backend) { return "to " + backend.to_string(); };
  const World configured;
  EXPECT_EQ(explain_answer(configured.config, *configured.snapshot, good(), 0, {}, way)->next_hop_way, "");
  World learned;
  learned.config.services[0].backends[0].mac = std::nullopt;
  const auto resolved = explain_answer(learned.config, *learned.snapshot, good(), 0, {}, way);
  EXPECT_EQ(resolved->next_hop, "02:00:00:00:00:01");
  EXPECT_EQ(resolved->next_hop_way, "to 10.0.0.1");
  ExplainRequest request = good();
  request.ip_bytes = 2000;
  const auto too_big = explain_answer(learned.config, *learned.snapshot, request, 0, {}, way);
  EXPECT_EQ(too_big->verdict, "reply_too_big");
  EXPECT_EQ(too_big->next_hop_way, "");
  learned.snapshot = learned.build();
  const auto unresolved = explain_answer(learned.config, *learned.snapshot, good(), 0, {}, way);
  EXPECT_EQ(unresolved->verdict, "drop_next_hop_unresolved");
  EXPECT_EQ(unresolved->next_hop_way, "to 10.0.0.1");
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
