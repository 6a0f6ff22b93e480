// SPDX-License-Identifier: Apache-2.0
// consistency [SCHEDULES [FIRST_SEED [SECONDS [FLOOD_PER_SECOND [RECORDS]]]]]: the simulation of consistency.h over
// random schedules, as a table.
#include <cstdio>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "consistency.h"

namespace {

using anypop::l4lb::ConsistencyPlan;
using anypop::l4lb::ConsistencyResult;

void print_row(std::string_view name, const ConsistencyResult& result) {
  fmt::print("| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", name, result.changes, result.flows, result.packets,
             result.broken[0], result.broken[1], result.broken[2], result.most_records, result.evicted_established);
  std::fflush(stdout);
}

int run(std::uint64_t schedules, ConsistencyPlan plan) {
  fmt::print("{} s, {} backends, {} flows/s, {} SYN/s of flood, {} records\n\n", plan.seconds, plan.backends,
             plan.flows_per_second, plan.flood_per_second, plan.flow_records);
  fmt::print("| seed | changes | flows | packets | engine | maglev | full table | most records | evicted |\n");
  fmt::print("|---|---|---|---|---|---|---|---|---|\n");
  ConsistencyResult sum;
  for (; schedules > 0; --schedules, ++plan.seed) {
    const ConsistencyResult result = anypop::l4lb::simulate_consistency(plan);
    print_row(std::to_string(plan.seed), result);
    sum.changes += result.changes;
    sum.flows += result.flows;
    sum.packets += result.packets;
    for (std::size_t b = 0; b < sum.broken.size(); ++b) sum.broken[b] += result.broken[b];
    sum.most_records = std::max(sum.most_records, result.most_records);
    sum.evicted_established += result.evicted_established;
  }
  print_row("all", sum);
  return sum.broken[0] == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  ConsistencyPlan plan;
  std::array<std::uint64_t, 5> numbers = {12, plan.seed, plan.seconds, plan.flood_per_second, plan.flow_records};
  for (int i = 1; i < count; ++i) {
    const auto number = anypop::parse_number<std::uint64_t>(arguments[i], 1, 1'000'000'000);
    if (!number || static_cast<std::size_t>(i) > numbers.size()) {
      fmt::print(stderr,
                 "consistency: found '{}', expected [SCHEDULES [FIRST_SEED [SECONDS [FLOOD_PER_SECOND [RECORDS]]]]]\n",
                 arguments[i]);
      return 2;
    }
    numbers[static_cast<std::size_t>(i - 1)] = *number;
  }
  plan.seed = numbers[1];
  plan.seconds = static_cast<std::uint32_t>(numbers[2]);
  plan.flood_per_second = static_cast<std::uint32_t>(numbers[3]);
  plan.flow_records = static_cast<std::uint32_t>(numbers[4]);
  return run(numbers[0], plan);
}
