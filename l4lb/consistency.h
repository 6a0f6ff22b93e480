// SPDX-License-Identifier: Apache-2.0
// A simulation of flow consistency: TCP flows, and QUIC ones if wanted, of both families live through random changes of
// the backends, beside a flood of SYNs, and it is counted how many flows lose a backend that lives. The same packets go
// through three balancers:
//   engine     the real one, `track: changes`
//   maglev     the real one, `track: never`: the table alone
//   full table the table, and before it a record of every flow, SYNs of the flood included, in as many records as the
//              engine has, eight to a bucket, the one not used for longest giving way
//
// Backends fail, come back with a slow start, drain, change weight, are added and removed by reloads, also several
// times in a row. A flow is silent for at most 90 % of the window, and ends with a FIN and an ACK. One whose backend
// dies has ended.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace anypop::l4lb {

struct ConsistencyPlan {
  std::uint64_t seed = 1;
  std::uint32_t seconds = 3600;
  std::uint32_t flows_per_second = 300;
  std::uint32_t flood_per_second = 1000;
  std::uint32_t mean_change_ms = 60'000;
  std::uint32_t mean_life_ms = 60'000;
  std::uint32_t backends = 20;
  std::uint32_t table_size = 65537;
  std::uint32_t flow_records = 1U << 20U;
  bool quic = false;  // half of the flows, and of the flood, are QUIC's, in UDP: they begin with an Initial, and say no
                      // FIN
};

enum class Balancer : std::uint8_t { kEngine, kMaglev, kFullTable };
inline constexpr std::array<std::string_view, 3> kBalancerNames = {"engine", "maglev", "full table"};

struct ConsistencyResult {
  std::uint64_t flows = 0;
  std::uint64_t packets = 0;              // of the flows, without the flood
  std::uint64_t changes = 0;              // of the backends; the steps of a slow start are one each
  std::array<std::uint64_t, 3> broken{};  // by Balancer: flows that lost a backend that lives
  std::uint64_t most_records = 0;         // that the engine had at any time
  std::uint64_t evicted_established = 0;  // by the engine
};

ConsistencyResult simulate_consistency(const ConsistencyPlan& plan);

}  // namespace anypop::l4lb
