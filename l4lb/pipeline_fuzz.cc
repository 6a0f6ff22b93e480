// SPDX-License-Identifier: Apache-2.0
// Any bytes as a burst of frames, each behind its length in two bytes. The engine must read nothing outside them
// (AddressSanitizer watches), and agree with the reference engine on verdict, service, backend and every byte.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "golden_rows.h"
#include "l4lb/pipeline.h"
#include "l4lb_testing/fuzz_input.h"
#include "l4lb_testing/packets.h"
#include "l4lb_testing/reference_engine.h"

namespace {

using anypop::l4lb_testing::Frame;
using anypop::l4lb_testing::ReferenceEngine;
namespace l4lb = anypop::l4lb;

[[noreturn]] void report(const Frame& input, const l4lb::Packet& packet, const ReferenceEngine::Outcome& expected) {
  std::fprintf(stderr, "%s\nengine: %s, service %u, backend %u; reference: %s, service %d, backend %d\n",
               anypop::l4lb_testing::hex(input).c_str(), l4lb::verdict_name(packet.verdict).data(), packet.service,
               packet.backend, l4lb::verdict_name(expected.verdict).data(),
               expected.service ? static_cast<int>(*expected.service) : -1,
               expected.backend ? static_cast<int>(*expected.backend) : -1);
  std::abort();
}

ReferenceEngine make_reference() {
  ReferenceEngine reference(l4lb::golden_services(), l4lb::kGoldenKey, l4lb::golden_engine());
  reference.update(l4lb::golden_input());
  return reference;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto services = l4lb::golden_services();
  static const auto snapshot =
      l4lb::SnapshotBuilder(services, l4lb::kGoldenKey, l4lb::golden_engine()).build(l4lb::golden_input());
  static ReferenceEngine reference = make_reference();
  static l4lb::Counters counters(services);
  static l4lb::WorkerState state(l4lb::golden_engine());
  // Late enough that what one input did is over by the next one.
  static std::uint32_t now_ms = 0;
  now_ms += 60'000;

  const std::vector<Frame> inputs = anypop::l4lb_testing::split_burst({data, size});
  anypop::l4lb_testing::Burst burst(inputs);
  l4lb::process_burst(*snapshot, burst.packets(), now_ms, state, counters);

  for (std::size_t i = 0; i < burst.size(); ++i) {
    const l4lb::Packet& packet = burst[i];
    const ReferenceEngine::Outcome expected = reference.process(inputs[i], now_ms);
    if (packet.verdict != expected.verdict || packet.service != expected.service.value_or(l4lb::kNone) ||
        packet.backend != expected.backend.value_or(l4lb::kNone) ||
        (packet.chosen_by == l4lb::ChosenBy::kConnectionId) !=
            (expected.by == anypop::l4lb_testing::ReferenceFlows::By::kConnectionId) ||
        burst.frame(i) != expected.frame) {
      report(inputs[i], packet, expected);
    }
  }
  return 0;
}
