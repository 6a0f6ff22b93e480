// SPDX-License-Identifier: Apache-2.0
// Any bytes as first and later fragments over time, at two workers whose clocks differ, against maps. What a later
// fragment finds is what the newest first one of its packet said to a worker, at most the timeout away; and nothing is
// lost while the tables have room.
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>

#include "flow.h"
#include "fragments.h"
#include "l4lb_testing/fuzz_input.h"

namespace {

using anypop::l4lb_testing::FuzzInput;
using anypop::l4lb_testing::require;
namespace l4lb = anypop::l4lb;

const l4lb::FlowHash& hash() {
  static const l4lb::FlowHash made({1, 2, 3});
  return made;
}

// Few senders and packets, so that they meet.
template <class F>
class Model {
 public:
  // The second worker's clock is `behind_ms` behind the first one's.
  Model(std::uint32_t records, std::uint32_t behind_ms)
      : workers_{Worker(records), Worker(records)}, behind_ms_(behind_ms) {}

  void first(FuzzInput& input, std::uint32_t now_ms) {
    unsigned at = 0;
    l4lb::Flow<F> flow = some_flow(input, at);
    const std::uint32_t id = input.byte();
    flow.source_port = l4lb::wire::be16(input.word());
    flow.destination_port = l4lb::wire::be16(input.word());
    now_ms -= at * behind_ms_;
    l4lb::remember_first<F>(hash(), flow, id, now_ms, workers_[at].table);
    workers_[at].newest[key(flow, id)] = {flow, now_ms};
  }

  // A worker may look into the other one's table.
  void later(FuzzInput& input, std::uint32_t now_ms) const {
    unsigned at = 0;
    const l4lb::Flow<F> flow = some_flow(input, at);
    const std::uint32_t id = input.byte();
    now_ms -= at * behind_ms_;
    for (const Worker* const worker : {&workers_[at], &workers_[1 - at]}) look(*worker, flow, id, now_ms);
  }

 private:
  using Key = std::tuple<std::uint32_t, std::uint32_t, l4lb::wire::IpProtocol>;

  struct Worker {
    explicit Worker(std::uint32_t records) : table(records) {}
    l4lb::FragmentTable table;
    std::map<Key, std::pair<l4lb::Flow<F>, std::uint32_t>> newest;
  };

  static void look(const Worker& worker, l4lb::Flow<F> flow, std::uint32_t id, std::uint32_t now_ms) {
    const auto expected = worker.newest.find(key(flow, id));
    const bool alive = expected != worker.newest.end() && near(expected->second.second, now_ms);
    const bool found = l4lb::complete_later<F>(hash(), id, now_ms, worker.table, flow);
    require(!found || alive);
    if (found) require(flow == expected->second.first);
    if (alive && worker.newest.size() <= 4) require(found);  // a bucket
  }
  static bool near(std::uint32_t seen_ms, std::uint32_t now_ms) {
    const std::int64_t apart = static_cast<std::int32_t>(now_ms - seen_ms);
    return apart <= l4lb::FragmentTable::kTimeoutMs && -apart <= l4lb::FragmentTable::kTimeoutMs;
  }
  static l4lb::Flow<F> some_flow(FuzzInput& input, unsigned& at) {
    const std::uint8_t choice = input.byte();
    at = choice >> 3U & 1U;
    l4lb::Flow<F> flow{};
    reinterpret_cast<std::uint8_t&>(flow.source) = choice & 3U;
    flow.protocol = (choice & 4U) != 0 ? l4lb::wire::IpProtocol::kTcp : l4lb::wire::IpProtocol::kUdp;
    return flow;
  }
  static Key key(const l4lb::Flow<F>& flow, std::uint32_t id) {
    const bool v4 = F::kFamily == anypop::Family::kV4;
    return {reinterpret_cast<const std::uint8_t&>(flow.source), id, v4 ? flow.protocol : l4lb::wire::IpProtocol::kUdp};
  }

  std::array<Worker, 2> workers_;
  std::uint32_t behind_ms_;
};

template <class F>
void play(FuzzInput input) {
  const std::uint8_t choice = input.byte();
  Model<F> model(std::uint32_t{4} << (choice & 3U), (choice >> 2U) * 100U);
  std::uint32_t now_ms = 0xffffff00U;  // the clock turns over soon
  while (!input.empty()) {
    const std::uint8_t step = input.byte();
    now_ms += (step >> 1U) * 40U;  // up to the timeout and a little more
    (step & 1U) != 0 ? model.first(input, now_ms) : model.later(input, now_ms);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  play<l4lb::V4>({data, size});
  play<l4lb::V6>({data, size});
  return 0;
}
