// SPDX-License-Identifier: Apache-2.0
// The golden table of flow consistency: short lives of one flow, packet by packet, in both families, with what decided
// about each packet and what the flow table counts at the end.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "flow.h"
#include "golden_rows.h"
#include "l4lb/pipeline.h"
#include "l4lb_testing/packet_builder.h"
#include "l4lb_testing/packets.h"
#include "track.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;
using l4lb_testing::hex;

constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kFin = 0x11;
constexpr std::uint8_t kRst = 0x14;
// Instead of flags, of rows about UDP.
constexpr std::uint8_t kInitial = 1;       // of QUIC, in a datagram of 1200 bytes (RFC 9000 section 14.1)
constexpr std::uint8_t kShortInitial = 2;  // of 1199 bytes, which no server takes
constexpr std::uint8_t kShortHeader = 3;   // of QUIC, in the middle of a connection
constexpr ChosenBy kSlot = ChosenBy::kSlot;
constexpr ChosenBy kRecord = ChosenBy::kRecord;
constexpr ChosenBy kPrevious = ChosenBy::kPreviousOwner;
constexpr std::uint32_t kWindow = 120'000;
constexpr std::uint32_t kIdle = 900'000;
constexpr std::uint32_t kUnit = 2048;  // more than a unit of the table's clock

// Whose the flow's slot is: "a" has owned it from the start. Then perhaps
enum class Slot { kStays, kMovesToB, kMovesToBAndADies };

struct Step {
  std::uint8_t flags;  // of TCP
  char backend;
  ChosenBy by;
  std::uint32_t silence_ms = 0;  // before the packet
};

struct Row {
  const char* name;
  Track track;
  Slot slot;
  std::vector<Step> steps;
  std::uint64_t half_open = 0;  // at the end, as the next two
  std::uint64_t established = 0;
  std::uint64_t inserted = 0;
  Protocol protocol = Protocol::kTcp;
};

std::vector<Row> udp_rows() {
  constexpr Track kChanges = Track::kChanges;
  constexpr Slot kMoves = Slot::kMovesToB;
  std::vector<Row> rows = {
      {"udp, in the window: a flow that goes on",
       kChanges,
       kMoves,
       {{kShortHeader, 'a', kPrevious}, {kShortHeader, 'a', kRecord}},
       0,
       1,
       1},
      {"udp, in the window: a QUIC Initial begins a flow",
       kChanges,
       kMoves,
       {{kInitial, 'b', kSlot}, {kInitial, 'b', kRecord}},
       1,
       0,
       1},
      {"udp, in the window: a QUIC handshake",
       kChanges,
       kMoves,
       {{kInitial, 'b', kSlot}, {kShortHeader, 'b', kRecord}},
       0,
       1,
       1},
      {"udp, in the window: a QUIC Initial is half-open for too long",
       kChanges,
       kMoves,
       {{kInitial, 'b', kSlot}, {kShortHeader, 'a', kPrevious, 30'000 + kUnit}},
       0,
       1,
       2},
      {"udp, in the window: one byte less is no Initial",
       kChanges,
       kMoves,
       {{kShortInitial, 'a', kPrevious}, {kShortInitial, 'a', kRecord}},
       0,
       1,
       1},
      {"udp, in the window: an Initial of a flow that goes on",
       kChanges,
       kMoves,
       {{kShortHeader, 'a', kPrevious}, {kInitial, 'a', kRecord}},
       0,
       1,
       1},
      {"udp, nothing has changed", kChanges, Slot::kStays, {{kInitial, 'a', kSlot}, {kShortHeader, 'a', kSlot}}},
      {"udp, the previous owner is dead",
       kChanges,
       Slot::kMovesToBAndADies,
       {{kShortHeader, 'b', kSlot}, {kInitial, 'b', kSlot}}},
      {"udp, always, a QUIC handshake",
       Track::kAlways,
       Slot::kStays,
       {{kInitial, 'a', kSlot}, {kShortHeader, 'a', kRecord}},
       0,
       1,
       1},
  };
  for (Row& row : rows) row.protocol = Protocol::kUdp;
  return rows;
}

Frame quic_datagram(std::uint8_t kind) {
  if (kind == kShortHeader) return {std::byte{0x40}, std::byte{1}, std::byte{2}, std::byte{3}};
  Frame datagram(kind == kInitial ? 1200 : 1199);
  datagram[0] = std::byte{0xc0};  // long header, Initial (RFC 9000 section 17.2.2)
  datagram[4] = std::byte{1};     // version 1
  return datagram;
}

std::vector<Row> rows() {
  constexpr Track kChanges = Track::kChanges;
  constexpr Track kAlways = Track::kAlways;
  constexpr Slot kStays = Slot::kStays;
  constexpr Slot kMoves = Slot::kMovesToB;
  constexpr Slot kDies = Slot::kMovesToBAndADies;
  return {
      {"changes, nothing has changed", kChanges, kStays, {{kSyn, 'a', kSlot}, {kAck, 'a', kSlot}, {kFin, 'a', kSlot}}},
      {"changes, in the window: a flow that goes on",
       kChanges,
       kMoves,
       {{kAck, 'a', kPrevious}, {kAck, 'a', kRecord}},
       0,
       1,
       1},
      {"changes, in the window: a flow that begins",
       kChanges,
       kMoves,
       {{kSyn, 'b', kSlot}, {kSyn, 'b', kRecord}},
       1,
       0,
       1},
      {"changes, in the window: a handshake", kChanges, kMoves, {{kSyn, 'b', kSlot}, {kAck, 'b', kRecord}}, 0, 1, 1},
      {"changes, in the window: half-open for too long",
       kChanges,
       kMoves,
       {{kSyn, 'b', kSlot}, {kAck, 'a', kPrevious, 30'000 + kUnit}},
       0,
       1,
       2},
      {"changes, behind the window: a flow that spoke in it stays",
       kChanges,
       kMoves,
       {{kAck, 'a', kPrevious}, {kAck, 'a', kRecord, kWindow + kUnit}, {kAck, 'a', kRecord, kIdle - kUnit}},
       0,
       1,
       1},
      {"changes, behind the window: one that was silent moves",
       kChanges,
       kMoves,
       {{kAck, 'b', kSlot, kWindow + kUnit}}},
      {"changes, behind the window: the owner's record has done its work",
       kChanges,
       kMoves,
       {{kSyn, 'b', kSlot}, {kAck, 'b', kRecord}, {kAck, 'b', kRecord, kWindow + kUnit}, {kAck, 'b', kSlot}},
       0,
       0,
       1},
      {"changes, behind the window: silent for longer than idle",
       kChanges,
       kMoves,
       {{kAck, 'a', kPrevious}, {kAck, 'b', kSlot, kIdle + kUnit}},
       0,
       1,
       1},
      {"changes, the previous owner is dead", kChanges, kDies, {{kAck, 'b', kSlot}, {kSyn, 'b', kSlot}}},
      {"changes, SYN and FIN in one is no beginning",
       kChanges,
       kMoves,
       {{kSyn | 0x01, 'a', kPrevious}, {kAck, 'a', kRecord}},
       0,
       1,
       1},
      {"changes, SYN and ACK in one is no beginning", kChanges, kMoves, {{kSyn | kAck, 'a', kPrevious}}, 0, 1, 1},
      {"always, a handshake", kAlways, kStays, {{kSyn, 'a', kSlot}, {kAck, 'a', kRecord}}, 0, 1, 1},
      {"always, in the middle of a connection", kAlways, kStays, {{kAck, 'a', kSlot}, {kAck, 'a', kRecord}}, 0, 1, 1},
      {"always, a SYN again", kAlways, kStays, {{kSyn, 'a', kSlot}, {kSyn, 'a', kRecord}}, 1, 0, 1},
      {"always, the client closes",
       kAlways,
       kStays,
       {{kAck, 'a', kSlot}, {kFin, 'a', kRecord}, {kAck, 'a', kRecord}, {kAck, 'a', kRecord, kClosingMs}},
       0,
       1,
       1},
      {"always, the client has closed long ago",
       kAlways,
       kStays,
       {{kAck, 'a', kSlot}, {kFin, 'a', kRecord}, {kAck, 'a', kSlot, kClosingMs + kUnit}},
       0,
       1,
       2},
      {"always, a new connection behind a FIN",
       kAlways,
       kStays,
       {{kAck, 'a', kSlot}, {kFin, 'a', kRecord}, {kSyn, 'a', kSlot}, {kAck, 'a', kRecord}},
       0,
       1,
       2},
      {"always, a RST",
       kAlways,
       kStays,
       {{kAck, 'a', kSlot}, {kRst, 'a', kRecord}, {kRst, 'a', kRecord}, {kAck, 'a', kSlot, kClosingMs + kUnit}},
       0,
       1,
       2},
      {"always, a RST that was not genuine",
       kAlways,
       kStays,
       {{kAck, 'a', kSlot}, {kRst, 'a', kRecord}, {kAck, 'a', kRecord}, {kAck, 'a', kRecord, kIdle - kUnit}},
       0,
       1,
       1},
      {"always, a RST of nobody", kAlways, kStays, {{kRst, 'a', kSlot}, {kRst, 'a', kSlot}}},
      {"always, a SYN is reset", kAlways, kStays, {{kSyn, 'a', kSlot}, {kRst, 'a', kRecord}}, 1, 0, 1},
      {"always, in the window", kAlways, kMoves, {{kAck, 'a', kPrevious}, {kAck, 'a', kRecord}}, 0, 1, 1},
      {"always, behind the window",
       kAlways,
       kMoves,
       {{kAck, 'a', kPrevious}, {kAck, 'a', kRecord, kWindow + kUnit}},
       0,
       1,
       1},
      {"never", Track::kNever, kMoves, {{kAck, 'b', kSlot}, {kSyn, 'b', kSlot}, {kAck, 'b', kSlot}}},
  };
}

// Backends a and b; b joins when slots move.
template <class F>
class GoldenTracking : public testing::Test {
 protected:
  static constexpr const char* kVip = F::kFamily == Family::kV4 ? "198.51.100.1" : "2001:db8:53::1";
  static constexpr const char* kMacs[] = {"02:00:00:00:00:0a", "02:00:00:00:00:0b"};

  void run(const Row& row) {
    SCOPED_TRACE(row.name);
    start(row);
    const std::uint16_t client = moving_client();
    if (row.slot == Slot::kMovesToB || row.slot == Slot::kMovesToBAndADies) set(true, true);
    if (row.slot == Slot::kMovesToBAndADies) set(false, true);
    WorkerState state(engine_);
    Counters counters(services_);
    for (std::size_t i = 0; i < row.steps.size(); ++i) {
      SCOPED_TRACE(i);
      pass(row.steps[i].silence_ms);
      step(row.steps[i], client, state, counters);
    }
    EXPECT_EQ(counters.verdict(Verdict::kForward), row.steps.size());
    EXPECT_EQ(state.flows.stats().half_open, row.half_open);
    EXPECT_EQ(state.flows.stats().established, row.established);
    EXPECT_EQ(state.flows.stats().inserted, row.inserted);
    EXPECT_EQ(counters.flows().inserted, row.inserted);
  }

 private:
  void start(const Row& row) {
    ServiceConfig service{.name = "s",
                          .vip = *IpAddress::parse(kVip),
                          .protocol = row.protocol,
                          .port = 80,
                          .track = row.track,
                          .table_size = 251};
    for (const char* name : {"a", "b"}) {
      service.backends.push_back({.name = name, .address = *IpAddress::parse("10.0.0.1")});
    }
    services_ = {service};
    builder_ = std::make_unique<SnapshotBuilder>(services_, kGoldenKey, engine_);
    set(true, false);
  }
  void set(bool a, bool b) {
    input_.source_mac = *MacAddress::parse(kPortMac);
    input_.backends = {{BackendState{.healthy = a, .next_hop_mac = *MacAddress::parse(kMacs[0])},
                        BackendState{.healthy = b, .next_hop_mac = *MacAddress::parse(kMacs[1])}}};
    build();
  }
  void build() {
    input_.now_ms = now_ms_;
    snapshot_ = builder_->build(input_);
  }
  void pass(std::uint32_t ms) {
    now_ms_ += ms;
    if (builder_->next_change_ms().value_or(now_ms_ + 1) <= now_ms_) build();
  }

  Frame packet(std::uint16_t client, std::uint8_t flags, const char* destination, const char* source) const {
    auto start = eth({.destination = destination, .source = source}).ip({.destination = kVip});
    if (services_[0].protocol == Protocol::kTcp) {
      return start.tcp({.source = client, .destination = 80, .flags = flags}).build();
    }
    return start.udp({.source = client, .destination = 80}).raw(quic_datagram(flags)).build();
  }
  // One whose slot b owns as soon as it is there.
  std::uint16_t moving_client() {
    SnapshotBuilder with_b(services_, kGoldenKey, engine_);
    SnapshotInput input = input_;
    for (BackendState& state : input.backends[0]) state.healthy = true;
    const auto snapshot = with_b.build(input);
    for (std::uint16_t client = 1;; ++client) {
      const Frame frame = packet(client, kSyn, kWebMac, kPortMac);
      l4lb_testing::Burst burst({&frame, 1});
      WorkerState state(engine_);
      Counters counters(services_);
      process_burst(*snapshot, burst.packets(), 0, state, counters);
      if (burst[0].backend == 1) return client;
    }
  }

  void step(const Step& step, std::uint16_t client, WorkerState& state, Counters& counters) {
    const Frame frame = packet(client, step.flags, kWebMac, "02:00:00:00:00:99");
    const auto backend = static_cast<std::uint16_t>(step.backend - 'a');
    const std::uint64_t hits = state.flows.stats().hits;
    const std::uint64_t before = counters.backend(0, backend).packets;
    l4lb_testing::Burst burst({&frame, 1});
    process_burst(*snapshot_, burst.packets(), static_cast<std::uint32_t>(now_ms_), state, counters);
    const Frame expected = packet(client, step.flags, kMacs[backend], kPortMac);
    EXPECT_EQ(burst[0].backend, backend);
    EXPECT_EQ(static_cast<int>(burst[0].chosen_by), static_cast<int>(step.by));
    EXPECT_EQ(burst.frame(0), expected) << hex(burst.frame(0)) << "\nexpected\n" << hex(expected);
    EXPECT_EQ(counters.backend(0, backend).packets, before + 1);
    EXPECT_EQ(state.flows.stats().hits, hits + (step.by == kRecord ? 1 : 0));
  }

  std::uint64_t now_ms_ = (std::uint64_t{1} << 32U) - 60'000;  // the packets' clock wraps soon
  EngineConfig engine_{.flow_records = 64, .flow_window_ms = kWindow, .tcp_idle_ms = kIdle};
  std::vector<ServiceConfig> services_;
  SnapshotInput input_;
  std::unique_ptr<SnapshotBuilder> builder_;
  std::shared_ptr<const Snapshot> snapshot_;
};
using Families = testing::Types<V4, V6>;
TYPED_TEST_SUITE(GoldenTracking, Families);

TYPED_TEST(GoldenTracking, EachRow) {
  for (const Row& row : rows()) this->run(row);
  for (const Row& row : udp_rows()) this->run(row);
}

}  // namespace
}  // namespace anypop::l4lb
