// SPDX-License-Identifier: Apache-2.0
// An explanation against what the pipeline does with packets of the same flow that somebody else has built.
#include "l4lb/explain.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "golden_rows.h"
#include "l4lb_testing/packets.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;

struct World {
  std::vector<ServiceConfig> services = golden_services();
  std::shared_ptr<const Snapshot> snapshot =
      SnapshotBuilder(services, kGoldenKey, golden_engine()).build(golden_input());
};

std::mt19937_64 make_random() {
  const char* text = std::getenv("ANYPOP_SEED");
  const std::uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  std::cout << "seed " << seed << " (ANYPOP_SEED repeats it)\n";
  return std::mt19937_64(seed);
}

FlowQuestion random_question(std::mt19937_64& random) {
  const auto of = [&](auto list) { return list.begin()[random() % list.size()]; };
  const bool v4 = random() % 2 == 0;
  FlowQuestion question;
  question.protocol = random() % 3 == 0 ? Protocol::kUdp : Protocol::kTcp;
  question.source = *IpAddress::parse(v4 ? fmt::format("192.0.2.{}", random() % 256)
                                         : fmt::format("2001:db8:c::{:x}", random() % 65536));
  question.destination = *IpAddress::parse(
      v4 ? of(std::initializer_list<const char*>{"198.51.100.1", "198.51.100.2", "198.51.100.3", "203.0.113.7"})
         : of(std::initializer_list<const char*>{"2001:db8:53::1", "2001:db8:53::2", "2001:db8:53::3",
                                                 "2001:db8:54::7"}));
  question.source_port = static_cast<std::uint16_t>(random());
  question.destination_port = of(std::initializer_list<std::uint16_t>{53, 80, 81, 82, 443, 4000, 4001, 4002, 4003, 4004,
                                                                      4005, 4006, 4007, 5005, 6000, 6001, 9});
  question.opens = question.protocol == Protocol::kTcp && random() % 2 == 0;
  if (random() % 8 == 0) question.ip_bytes = static_cast<std::uint32_t>(1200 + random() % 400);
  return question;
}

// The same packet, by the builder of the tests.
Frame build(const FlowQuestion& question) {
  const std::string source = question.source.to_string();
  const std::string destination = question.destination.to_string();
  auto builder = eth().ip({.source = source, .destination = destination, .dont_fragment = true});
  const bool tcp = question.protocol == Protocol::kTcp;
  if (tcp) {
    builder.tcp({.source = question.source_port,
                 .destination = question.destination_port,
                 .flags = static_cast<std::uint8_t>(question.opens ? 2 : 16)});
  } else {
    builder.udp({.source = question.source_port, .destination = question.destination_port});
  }
  const std::size_t headers = (question.source.family() == Family::kV4 ? 20U : 40U) + (tcp ? 20U : 8U);
  return builder.payload(question.ip_bytes > headers ? question.ip_bytes - headers : 0).build();
}

std::string text_of(const FlowQuestion& question) {
  return fmt::format("{} {}:{} to {}:{}, {} bytes", protocol_name(question.protocol), question.source.to_string(),
                     question.source_port, question.destination.to_string(), question.destination_port,
                     question.ip_bytes);
}

// The UDP checksum of a GUE header covers a payload that differs in its own checksums.
std::vector<std::byte> without_udp_checksum(std::vector<std::byte> header) {
  if (header.size() == kHeadroomBytes) header[46] = header[47] = std::byte{0};
  return header;
}

TEST(Explain, SaysWhatThePipelineDoes) {
  const World world;
  std::mt19937_64 random = make_random();
  WorkerState state(golden_engine());
  Counters counters(world.services);
  std::size_t forwarded = 0;
  for (int i = 0; i < 20'000; ++i) {
    const FlowQuestion question = random_question(random);
    const auto explained = explain(*world.snapshot, question, 0);
    ASSERT_TRUE(explained.ok()) << explained.status();
    const std::vector<Frame> frames = {build(question)};
    l4lb_testing::Burst burst(frames);
    process_burst(*world.snapshot, burst.packets(), 0, state, counters);
    const Packet& packet = burst[0];
    ASSERT_EQ(verdict_name(explained->verdict), verdict_name(packet.verdict)) << text_of(question);
    ASSERT_EQ(explained->service, packet.service) << text_of(question);
    ASSERT_EQ(explained->backend, packet.backend) << text_of(question);
    if (packet.backend != kNone) {
      ASSERT_EQ(explained->decision, Decision::kHashed);
      ASSERT_EQ(explained->owner, packet.backend) << text_of(question);
      ASSERT_LT(explained->slot, explained->slots);
    }
    if (packet.verdict != Verdict::kForward) continue;
    ++forwarded;
    const Frame frame = burst.frame(0);
    ASSERT_TRUE(std::equal(explained->next_hop->bytes().begin(), explained->next_hop->bytes().end(),
                           reinterpret_cast<const std::uint8_t*>(frame.data())));
    const std::size_t outer = frame.size() - frames[0].size();
    ASSERT_EQ(without_udp_checksum(explained->outer_header),
              without_udp_checksum({frame.begin() + 14, frame.begin() + 14 + static_cast<std::ptrdiff_t>(outer)}))
        << text_of(question);
    ASSERT_EQ(explained->packet.size() + 14, frame.size());
  }
  EXPECT_GT(forwarded, 3'000U);
}

// A service whose backends come and go, and a worker that remembers flows because of it: before each packet the
// explanation says what the worker then does.
TEST(Explain, KnowsRecordsAndPreviousOwners) {
  World world;
  std::mt19937_64 random = make_random();
  SnapshotBuilder builder(world.services, kGoldenKey, golden_engine());
  SnapshotInput input = golden_input();
  std::shared_ptr<const Snapshot> snapshot = builder.build(input);
  WorkerState state(golden_engine());
  Counters counters(world.services);
  const FlowTable* const tables[] = {&state.flows};
  std::size_t decided[5] = {};
  for (std::uint32_t i = 0; i < 6000; ++i) {
    const std::uint32_t now_ms = 10 * i;
    if (i % 500 == 250) {
      BackendState& backend = input.backends[kSpread][random() % 3];
      backend.healthy = !backend.healthy;
      input.now_ms = now_ms;
      snapshot = builder.build(input);
    }
    FlowQuestion question{.source = *IpAddress::parse(fmt::format("192.0.2.{}", random() % 200)),
                          .destination = *IpAddress::parse("198.51.100.1"),
                          .source_port = 4242,
                          .destination_port = 443,
                          .opens = random() % 3 == 0};
    const auto explained = explain(*snapshot, question, now_ms, tables);
    ASSERT_TRUE(explained.ok()) << explained.status();
    const std::vector<Frame> frames = {build(question)};
    l4lb_testing::Burst burst(frames);
    process_burst(*snapshot, burst.packets(), now_ms, state, counters);
    ASSERT_EQ(verdict_name(explained->verdict), verdict_name(burst[0].verdict)) << text_of(question);
    ASSERT_EQ(explained->backend, burst[0].backend) << text_of(question);
    ASSERT_EQ(explained->decision, decision_of(burst[0])) << text_of(question);
    if (explained->decision == Decision::kTracked) {
      ASSERT_EQ(explained->records.at(0).backend, explained->backend);
      ASSERT_GT(explained->records[0].expires_ms, 0U);
    }
    if (explained->decision == Decision::kPreviousOwner) {
      ASSERT_TRUE(explained->window);
      ASSERT_EQ(explained->previous_owner, explained->backend);
    }
    ++decided[static_cast<std::size_t>(explained->decision)];
  }
  for (const Decision decision : {Decision::kHashed, Decision::kTracked, Decision::kPreviousOwner}) {
    EXPECT_GT(decided[static_cast<std::size_t>(decision)], 20U) << decision_name(decision);
  }
}

// A flow that two workers have met while its slot's window is open: one in the middle, so it is the previous owner's,
// the other with a SYN, so it is the owner's.
struct TwoRecords {
  explicit TwoRecords(const World& world) : builder(world.services, kGoldenKey, golden_engine()) {
    for (const bool healthy : {true, false, true}) {
      input.backends[kSpread][2].healthy = healthy;
      snapshot = builder.build(input);
    }
    while (explain(*snapshot, question, 0)->previous_owner == kNone) ++question.source_port;
    midway = meet(older);
    question.opens = true;
    opened = meet(newer);
    question.opens = false;
  }
  std::uint16_t meet(WorkerState& state) {
    const std::vector<Frame> frames = {build(question)};
    l4lb_testing::Burst burst(frames);
    Counters counters(*snapshot);
    process_burst(*snapshot, burst.packets(), 0, state, counters);
    return burst[0].backend;
  }

  SnapshotBuilder builder;
  SnapshotInput input = golden_input();
  std::shared_ptr<const Snapshot> snapshot;
  FlowQuestion question{.source = *IpAddress::parse("192.0.2.1"),
                        .destination = *IpAddress::parse("198.51.100.1"),
                        .source_port = 1,
                        .destination_port = 443};
  WorkerState older = WorkerState(golden_engine());
  WorkerState newer = WorkerState(golden_engine());
  std::uint16_t midway = kNone;  // of `older`
  std::uint16_t opened = kNone;  // of `newer`
};

TEST(Explain, AsksTheWorkersBeforeWhatAFormerProcessLeft) {
  TwoRecords told{World()};
  ASSERT_NE(told.midway, told.opened);
  const FlowTable* const older[] = {&told.older.flows};
  const FlowTable* const newer[] = {&told.newer.flows};
  const auto explained = explain(*told.snapshot, told.question, 0, newer, older);
  ASSERT_TRUE(explained.ok());
  EXPECT_EQ(explained->decision, Decision::kTracked);
  EXPECT_EQ(explained->backend, told.opened);
  ASSERT_EQ(explained->records.size(), 2U);
  EXPECT_EQ(explained->records[0].table, 0U);
  EXPECT_EQ(explained->records[1].table, 1U);
  EXPECT_EQ(explained->records[1].backend, told.midway);
  EXPECT_EQ(explain(*told.snapshot, told.question, 0, older, newer)->backend, told.midway);
}

TEST(Explain, AsksWhatAFormerProcessLeftForAllButNewFlows) {
  TwoRecords told{World()};
  const WorkerState idle(golden_engine());
  const FlowTable* const workers[] = {&idle.flows};
  const FlowTable* const left[] = {&told.newer.flows};
  const auto explained = explain(*told.snapshot, told.question, 0, workers, left);
  ASSERT_TRUE(explained.ok());
  EXPECT_EQ(explained->decision, Decision::kTracked);
  EXPECT_EQ(explained->backend, told.opened);
  ASSERT_EQ(explained->records.size(), 1U);
  EXPECT_EQ(explained->records[0].table, 1U);
  told.question.opens = true;
  EXPECT_EQ(explain(*told.snapshot, told.question, 0, workers, left)->decision, Decision::kHashed);
}

TEST(Explain, FollowsAConnectionId) {
  const World world;
  FlowQuestion question{.protocol = Protocol::kUdp,
                        .source = *IpAddress::parse("192.0.2.1"),
                        .destination = *IpAddress::parse("198.51.100.1"),
                        .source_port = 4242,
                        .destination_port = 443};
  const auto plain = explain(*world.snapshot, question, 0);
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->decision, Decision::kHashed);
  EXPECT_EQ(plain->backend, kServing);
  for (const unsigned byte : {0x40U, 0x05U, 0xaaU, 0x02U, 0x77U, 0x77U, 0x77U, 0x77U}) {
    question.payload.push_back(
        static_cast<std::byte>(byte));  // a short header, then configuration 0 and server ID aa02
  }
  question.ip_bytes = 100;
  const auto named = explain(*world.snapshot, question, 0);
  ASSERT_TRUE(named.ok());
  EXPECT_EQ(named->decision, Decision::kConnectionId);
  EXPECT_EQ(named->backend, kDraining);
  EXPECT_EQ(named->owner, kServing);
}

TEST(Explain, RefusesWhatIsNoPacket) {
  const World world;
  FlowQuestion question{.source = *IpAddress::parse("192.0.2.1"), .destination = *IpAddress::parse("2001:db8::1")};
  EXPECT_EQ(explain(*world.snapshot, question, 0).status().message(),
            "found 192.0.2.1 and 2001:db8::1, expected two addresses of one family");
  question.destination = *IpAddress::parse("198.51.100.1");
  question.ip_bytes = kQuestionMaxBytes + 1;
  EXPECT_FALSE(explain(*world.snapshot, question, 0).ok());
}

TEST(Explain, ShowsTheAnswerToWhatDoesNotFit) {
  const World world;
  const auto explained = explain(*world.snapshot,
                                 {.source = *IpAddress::parse("192.0.2.1"),
                                  .destination = *IpAddress::parse("198.51.100.1"),
                                  .source_port = 1,
                                  .destination_port = 4000 + kSmallMtu - kIpip4,
                                  .ip_bytes = 1400},
                                 0);
  ASSERT_TRUE(explained.ok());
  EXPECT_EQ(explained->verdict, Verdict::kReplyTooBig);
  EXPECT_FALSE(explained->next_hop);
  EXPECT_EQ(explained->packet.size(), 576U);  // RFC 1812 section 4.3.2.3
}

}  // namespace
}  // namespace anypop::l4lb
