// SPDX-License-Identifier: Apache-2.0
// What another process left of the slots' history may be anything. Whatever is taken: snapshots can be built from it,
// packets go to living backends or nowhere, and it can be handed on.
#include <cstdint>
#include <string>
#include <string_view>

#include "l4lb/pipeline.h"
#include "l4lb/snapshot.h"
#include "l4lb_testing/fuzz_input.h"
#include "l4lb_testing/packet_builder.h"
#include "l4lb_testing/packets.h"

namespace {

using namespace anypop;
using namespace anypop::l4lb;
using l4lb_testing::require;

std::vector<ServiceConfig> services() {
  ServiceConfig web{.name = "web", .vip = *IpAddress::parse("198.51.100.1"), .port = 80, .table_size = 7};
  for (const char* name : {"a", "b", "c"}) {
    web.backends.push_back({.name = name, .address = *IpAddress::parse("10.0.0.1")});
  }
  ServiceConfig dns = web;
  dns.name = "dns";
  dns.port = 53;
  dns.table_size = 11;
  return {web, dns};
}

void forward(const Snapshot& snapshot, std::uint32_t now_ms, WorkerState& state, Counters& counters, unsigned dead) {
  for (std::uint16_t source = 1; source < 40; ++source) {
    const l4lb_testing::Frame frame =
        l4lb_testing::eth()
            .ip({.destination = "198.51.100.1"})
            .tcp({.source = source, .destination = static_cast<std::uint16_t>(source % 2 == 0 ? 80 : 53)})
            .build();
    l4lb_testing::Burst burst({&frame, 1});
    process_burst(snapshot, burst.packets(), now_ms, state, counters);
    require(burst[0].backend < 3 && burst[0].backend != dead);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const EngineConfig engine{.flow_records = 64};
  SnapshotBuilder builder(services(), {1}, engine);
  // Without the right beginning nothing would be read.
  const std::string empty = builder.save();
  const std::string bytes = empty.substr(0, 16) + std::string(reinterpret_cast<const char*>(data), size);
  if (!builder.restore(bytes).ok()) {
    require(builder.save() == empty);
    return 0;
  }
  WorkerState state(engine);
  Counters counters(services());
  SnapshotInput input{.backends = {std::vector<BackendState>(3), std::vector<BackendState>(3)}, .source_mac = {}};
  for (unsigned step = 0; step < 4; ++step) {
    input.now_ms = 1'000'000 + 100'000 * step;
    for (auto& states : input.backends) {
      for (unsigned b = 0; b < 3; ++b)
        states[b] = {.healthy = b != step, .next_hop_mac = MacAddress({2, 0, 0, 0, 0, 1})};
    }
    const auto snapshot = builder.build(input);
    forward(*snapshot, static_cast<std::uint32_t>(input.now_ms), state, counters, step);
    const std::string kept = builder.save();
    require(builder.restore(kept).ok());
  }
  return 0;
}
