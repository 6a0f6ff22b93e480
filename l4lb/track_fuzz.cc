// SPDX-License-Identifier: Apache-2.0
// Flow consistency: any sequence of packets, changes of the backends and pauses, two bytes each. The engine and the
// reference engine must agree on the backend of each packet and on what has chosen it.
//
//   0xxxxxxx  packet of client xxxxxxx; then which service and family, and TCP flags
//   10xxxxxx  a pause; then how long
//   11xxxxxx  backend xxxxxx fails, returns, drains or changes its weight as the next byte says
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "l4lb/pipeline.h"
#include "l4lb_testing/packet_builder.h"
#include "l4lb_testing/packets.h"
#include "l4lb_testing/reference_engine.h"

namespace {

using anypop::IpAddress;
using anypop::ServiceConfig;
using anypop::l4lb_testing::eth;
using anypop::l4lb_testing::Frame;
using anypop::l4lb_testing::ReferenceEngine;
using anypop::l4lb_testing::ReferenceFlows;
namespace l4lb = anypop::l4lb;

constexpr std::array<std::uint8_t, 16> kKey{9};
constexpr std::array<const char*, 2> kVips = {"198.51.100.1", "2001:db8:53::1"};
constexpr std::array<std::uint8_t, 8> kFlags = {0x02, 0x10, 0x18, 0x11, 0x14, 0x03, 0x04, 0x12};
const anypop::EngineConfig kEngine{.flow_records = 1U << 13U, .flow_window_ms = 20'000, .tcp_idle_ms = 300'000};

// In each family one service of each way of tracking, with four backends.
std::vector<ServiceConfig> make_services() {
  std::vector<ServiceConfig> services;
  for (const char* vip : kVips) {
    for (const auto track : {anypop::Track::kChanges, anypop::Track::kAlways, anypop::Track::kNever}) {
      ServiceConfig service{.name = "s" + std::to_string(services.size()),
                            .vip = *IpAddress::parse(vip),
                            .port = static_cast<std::uint16_t>(80 + services.size() % 3),
                            .track = track,
                            .table_size = 61};
      for (const char* name : {"a", "b", "c", "d"}) {
        service.backends.push_back({.name = name, .address = *IpAddress::parse("10.0.0.1")});
      }
      services.push_back(service);
    }
  }
  return services;
}

class World {
 public:
  World() {
    for (const ServiceConfig& service : services_) {
      input_.backends.emplace_back(service.backends.size(),
                                   l4lb::BackendState{.next_hop_mac = anypop::MacAddress({2, 0, 0, 0, 0, 1})});
    }
    change();
  }

  void step(std::uint8_t what, std::uint8_t how) {
    if (what < 0x80) {
      packet(what, how);
    } else if (what < 0xc0) {
      pause((what % 2 == 0 ? 250U : 10'000U) * (how + 1U));
    } else {
      for (auto& backends : input_.backends) {
        l4lb::BackendState& state = backends[what % backends.size()];
        state.healthy = how % 4 != 0;
        state.weight_permille = how % 4 == 1 ? how / 4U * 15U : l4lb::kWholeWeight;
      }
      change();
    }
  }

 private:
  void change() {
    input_.now_ms = now_ms_;
    reference_.update(input_);
    snapshot_ = builder_.build(input_);
  }
  void pause(std::uint32_t ms) {
    now_ms_ += ms;
    if (builder_.next_change_ms().value_or(now_ms_ + 1) <= now_ms_) change();
  }

  void packet(std::uint8_t client, std::uint8_t how) {
    const Frame frame = eth()
                            .ip({.destination = kVips[how % 2]})
                            .tcp({.source = client,
                                  .destination = static_cast<std::uint16_t>(80 + how / 2 % 3),
                                  .flags = kFlags[how / 32 % kFlags.size()]})
                            .build();
    anypop::l4lb_testing::Burst burst({&frame, 1});
    const auto now = static_cast<std::uint32_t>(now_ms_);
    l4lb::process_burst(*snapshot_, burst.packets(), now, state_, counters_);
    const ReferenceEngine::Outcome expected = reference_.process(frame, now);
    const l4lb::FlowTableStats& stats = state_.flows.stats();
    // The reference engine's table is never full.
    if (stats.evicted_established + stats.evicted_half_open > 0) return;
    const auto by = expected.by ? static_cast<int>(*expected.by) + 1 : 0;
    if (burst[0].backend == expected.backend.value_or(l4lb::kNone) && static_cast<int>(burst[0].chosen_by) == by)
      return;
    std::fprintf(stderr, "engine: backend %u by %d; reference: backend %d by %d\n", burst[0].backend,
                 static_cast<int>(burst[0].chosen_by), expected.backend ? static_cast<int>(*expected.backend) : -1, by);
    std::abort();
  }

  static_assert(static_cast<int>(ReferenceFlows::By::kSlot) + 1 == static_cast<int>(l4lb::ChosenBy::kSlot));
  static_assert(static_cast<int>(ReferenceFlows::By::kConnectionId) + 1 ==
                static_cast<int>(l4lb::ChosenBy::kConnectionId));

  std::uint64_t now_ms_ = (std::uint64_t{1} << 32U) - 100'000;
  std::vector<ServiceConfig> services_ = make_services();
  l4lb::SnapshotInput input_;
  l4lb::SnapshotBuilder builder_{services_, kKey, kEngine};
  ReferenceEngine reference_{services_, kKey, kEngine};
  std::shared_ptr<const l4lb::Snapshot> snapshot_;
  l4lb::WorkerState state_{kEngine};
  l4lb::Counters counters_{services_};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  for (std::size_t i = 0; i + 1 < std::min<std::size_t>(size, 1000); i += 2) world.step(data[i], data[i + 1]);
  return 0;
}
