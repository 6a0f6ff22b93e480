// SPDX-License-Identifier: Apache-2.0
// Several workers on several threads, and packets that come to any of them: flows that a NIC steers elsewhere with
// every packet, ICMP errors about them, and their fragments. Whatever the backends do meanwhile, what belongs to a flow
// reaches the flow's backend. Also what ThreadSanitizer looks at.
#include <array>
#include <atomic>
#include <barrier>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "flow.h"
#include "golden_rows.h"
#include "l4lb_testing/packet_builder.h"
#include "l4lb_testing/packets.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;

constexpr unsigned kWorkers = 3;
constexpr unsigned kFlows = 300;
constexpr unsigned kRounds = 60;
// Each worker has its own clock, and takes the time before it takes the packets.
constexpr unsigned kBehindMs = 7;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kAck = 0x10;

template <class F>
class Workers : public testing::Test {
 protected:
  Workers() {
    service_ = {.name = "s", .vip = *IpAddress::parse(kVip), .port = 80, .table_size = 1009};
    for (const char* name : {"a", "b", "c", "d"}) {
      service_.backends.push_back({.name = name, .address = *IpAddress::parse("10.0.0.1")});
    }
    input_ = {.backends = {{4, {.next_hop_mac = *MacAddress::parse(kWebMac)}}},
              .source_mac = *MacAddress::parse(kPortMac)};
    builder_ = std::make_unique<SnapshotBuilder>(std::vector{service_}, kGoldenKey, engine_);
    for (unsigned i = 0; i < kWorkers; ++i) {
      states_.emplace_back(engine_);
      counters_.push_back(std::make_unique<Counters>(std::vector{service_}));
    }
    for (WorkerState& state : states_) {
      for (const WorkerState& peer : states_) {
        if (&peer == &state) continue;
        state.peers.push_back(&peer.flows);
        state.fragment_peers.push_back(&peer.fragments);
      }
    }
  }

  static Frame tcp(unsigned flow, std::uint8_t flags) {
    return eth()
        .ip({.destination = kVip})
        .tcp({.source = static_cast<std::uint16_t>(1000 + flow), .destination = 80, .flags = flags})
        .build();
  }
  // About a packet that the VIP sent to the client.
  static Frame error_about(unsigned flow) {
    Frame quoted = eth()
                       .ip({.source = kVip, .destination = kClient})
                       .tcp({.source = 80, .destination = static_cast<std::uint16_t>(1000 + flow)})
                       .build();
    quoted.erase(quoted.begin(), quoted.begin() + 14);
    return eth()
        .ip({.source = kClient, .destination = kVip})
        .icmp({.type = F::kFamily == Family::kV4 ? std::uint8_t{3} : std::uint8_t{2}})
        .raw(quoted)
        .build();
  }
  static Frame first_fragment(unsigned flow, std::uint16_t id) {
    const auto port = static_cast<std::uint16_t>(1000 + flow);
    if constexpr (F::kFamily == Family::kV4) {
      return eth()
          .ip({.destination = kVip, .identification = id, .more_fragments = true})
          .tcp({.source = port, .destination = 80, .flags = kAck})
          .payload(12)
          .build();
    }
    return eth()
        .ip({.destination = kVip})
        .fragment({.more = true, .identification = id})
        .tcp({.source = port, .destination = 80, .flags = kAck})
        .payload(12)
        .build();
  }
  static Frame later_fragment(std::uint16_t id) {
    if constexpr (F::kFamily == Family::kV4) {
      return eth()
          .ip({.destination = kVip, .protocol = std::uint8_t{6}, .identification = id, .fragment_offset = 4})
          .payload(40)
          .build();
    }
    return eth().ip({.destination = kVip}).fragment({.offset = 4, .identification = id}).payload(40).build();
  }

  std::uint16_t send(unsigned worker, const Frame& frame) {
    l4lb_testing::Burst burst({&frame, 1});
    process_burst(*snapshot_.load(std::memory_order_acquire), burst.packets(),
                  static_cast<std::uint32_t>(now_ms_.load() - worker * kBehindMs), states_[worker], *counters_[worker]);
    return burst[0].backend;
  }
  void build() {
    input_.now_ms = now_ms_;
    built_.push_back(builder_->build(input_));
    snapshot_.store(built_.back().get(), std::memory_order_release);
  }

  static constexpr const char* kVip = F::kFamily == Family::kV4 ? "198.51.100.1" : "2001:db8:53::1";
  static constexpr const char* kClient = F::kFamily == Family::kV4 ? "192.0.2.10" : "2001:db8:c::10";
  EngineConfig engine_{.fragment_records = 4096, .flow_records = 16384};
  ServiceConfig service_;
  SnapshotInput input_;
  std::unique_ptr<SnapshotBuilder> builder_;
  std::vector<WorkerState> states_;
  std::vector<std::unique_ptr<Counters>> counters_;
  std::atomic<std::uint64_t> now_ms_ = 1'000'000;
  std::atomic<const Snapshot*> snapshot_ = nullptr;
  std::vector<std::shared_ptr<const Snapshot>> built_;  // none is freed
};
using Families = testing::Types<V4, V6>;
TYPED_TEST_SUITE(Workers, Families);

// Weights change between and during the rounds, and no backend dies: no flow may move. In every round each worker takes
// a third of the flows, in the next one another third.
TYPED_TEST(Workers, WhatComesToAnyWorkerReachesTheFlowsBackend) {
  this->build();
  std::vector<std::atomic<std::uint16_t>> home(kFlows);
  for (unsigned flow = 0; flow < kFlows; ++flow) home[flow] = this->send(flow % kWorkers, this->tcp(flow, kSyn));
  std::atomic<unsigned> moved = 0;
  std::atomic<unsigned> strayed = 0;
  std::atomic<unsigned> orphans = 0;
  std::barrier round_begins(kWorkers + 1);
  std::barrier firsts_sent(kWorkers);
  std::barrier round_ends(kWorkers + 1);
  std::vector<std::thread> threads;
  for (unsigned worker = 0; worker < kWorkers; ++worker) {
    threads.emplace_back([&, worker] {
      for (unsigned round = 0; round < kRounds; ++round) {
        round_begins.arrive_and_wait();
        const auto id = [&](unsigned flow) { return static_cast<std::uint16_t>(round * kFlows + flow); };
        for (unsigned flow = 0; flow < kFlows; ++flow) {
          if ((flow + round) % kWorkers != worker) continue;
          moved += this->send(worker, this->tcp(flow, kAck)) != home[flow];
          moved += this->send(worker, this->first_fragment(flow, id(flow))) != home[flow];
        }
        firsts_sent.arrive_and_wait();
        // What belongs to flows that are with other workers.
        for (unsigned flow = 0; flow < kFlows; ++flow) {
          if ((flow + round + 1) % kWorkers != worker) continue;
          strayed += this->send(worker, this->error_about(flow)) != home[flow];
          const std::uint16_t backend = this->send(worker, this->later_fragment(id(flow)));
          orphans += backend == kNone;
          strayed += backend != kNone && backend != home[flow];
        }
        round_ends.arrive_and_wait();
      }
    });
  }
  for (unsigned round = 0; round < kRounds; ++round) {
    round_begins.arrive_and_wait();
    // While they are at it: one drains, another takes its share again.
    this->input_.backends[0][round % 4].weight_permille = round % 3 == 0 ? 0 : 400 + 50 * (round % 8);
    this->build();
    round_ends.arrive_and_wait();
    this->now_ms_ += 5000 + 40'000 * (round % 5 == 4);  // some windows close
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(moved, 0);
  EXPECT_EQ(strayed, 0);
  EXPECT_EQ(orphans, 0);
  std::uint64_t records = 0;
  for (const WorkerState& state : this->states_) records += state.flows.stats().inserted;
  EXPECT_GT(records, kFlows / 4) << "the changes must concern flows, or nothing was tested";
}

// A worker's table that is only looked into: its worker is gone with the former process.
TYPED_TEST(Workers, ATableWithoutAWorkerIsLookedInto) {
  this->build();
  std::map<unsigned, std::uint16_t> home;
  for (unsigned flow = 0; flow < kFlows; ++flow) home[flow] = this->send(2, this->tcp(flow, kSyn));
  this->input_.backends[0][0].weight_permille = 0;
  this->build();
  for (unsigned flow = 0; flow < kFlows; ++flow) EXPECT_EQ(this->send(2, this->tcp(flow, kAck)), home[flow]);
  // After the window only the record knows.
  this->now_ms_ += this->engine_.flow_window_ms + 4096;
  this->build();
  ASSERT_EQ(open_windows(*this->snapshot_, 0), 0);
  for (unsigned flow = 0; flow < kFlows; ++flow) {
    EXPECT_EQ(this->send(0, this->error_about(flow)), home[flow]);
    EXPECT_EQ(this->send(1, this->tcp(flow, kAck)), home[flow]);
    EXPECT_EQ(this->send(0, this->tcp(flow, kAck)), home[flow]);
  }
  EXPECT_GT(this->states_[1].flows.stats().established, 0) << "it has records of its own from then on";
  EXPECT_EQ(this->states_[2].flows.stats().hits, 0);
}

}  // namespace
}  // namespace anypop::l4lb
