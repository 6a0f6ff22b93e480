// SPDX-License-Identifier: Apache-2.0
// Any bytes as first and later fragments over time, against a map. What a later fragment finds is what the newest first
// one of its packet said, no longer ago than the timeout; and nothing is lost while the table has room.
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
  explicit Model(std::uint32_t records) : table_(records) {}

  void first(FuzzInput& input, std::uint32_t now_ms) {
    l4lb::Flow<F> flow = some_flow(input);
    const std::uint32_t id = input.byte();
    flow.source_port = l4lb::wire::be16(input.word());
    flow.destination_port = l4lb::wire::be16(input.word());
    l4lb::remember_first<F>(hash(), flow, id, now_ms, table_);
    newest_[key(flow, id)] = {flow, now_ms};
  }

  void later(FuzzInput& input, std::uint32_t now_ms) const {
    l4lb::Flow<F> flow = some_flow(input);
    const std::uint32_t id = input.byte();
    const auto expected = newest_.find(key(flow, id));
    const bool alive = expected != newest_.end() && now_ms - expected->second.second <= l4lb::FragmentTable::kTimeoutMs;
    const bool found = l4lb::complete_later<F>(hash(), id, now_ms, table_, flow);
    require(!found || alive);
    if (found) require(flow == expected->second.first);
    if (alive && newest_.size() <= 4) require(found);  // a bucket
  }

 private:
  using Key = std::tuple<std::uint32_t, std::uint32_t, l4lb::wire::IpProtocol>;

  static l4lb::Flow<F> some_flow(FuzzInput& input) {
    const std::uint8_t choice = input.byte();
    l4lb::Flow<F> flow{};
    reinterpret_cast<std::uint8_t&>(flow.source) = choice & 3U;
    flow.protocol = (choice & 4U) != 0 ? l4lb::wire::IpProtocol::kTcp : l4lb::wire::IpProtocol::kUdp;
    return flow;
  }
  static Key key(const l4lb::Flow<F>& flow, std::uint32_t id) {
    const bool v4 = F::kFamily == anypop::Family::kV4;
    return {reinterpret_cast<const std::uint8_t&>(flow.source), id, v4 ? flow.protocol : l4lb::wire::IpProtocol::kUdp};
  }

  l4lb::FragmentTable table_;
  std::map<Key, std::pair<l4lb::Flow<F>, std::uint32_t>> newest_;
};

template <class F>
void play(FuzzInput input) {
  Model<F> model(std::uint32_t{4} << (input.byte() & 3U));
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
