// SPDX-License-Identifier: Apache-2.0
// Measures Maglev tables: how even the shares are, and how many slots change hands without need. The output is the
// tables of MAGLEV.md; every number in it is exact and the same on every machine.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "maglev.h"

namespace anypop::l4lb {
namespace {

using Members = std::vector<MaglevMember>;

constexpr std::size_t kSamples = 10;  // removals of one backend each, spread over all of them

Members members(std::size_t count, std::span<const unsigned> weights) {
  Members result;
  for (std::size_t i = 0; i < count; ++i) {
    result.push_back({.name = fmt::format("backend-{}", i),
                      .weight = weights[i % weights.size()],
                      .backend = static_cast<std::uint16_t>(i)});
  }
  return result;
}

struct Evenness {
  double largest = 0;            // share over what the weight says
  double smallest = 1e9;         // the same
  double worst_off_percent = 0;  // largest distance from the wanted share, in percent of all traffic
};

Evenness measure_evenness(const Members& of, std::uint32_t slots) {
  std::vector<std::uint32_t> owned(of.size());
  for (const std::uint16_t backend : build_maglev(of, slots)) ++owned[backend];
  double weights = 0;
  for (const MaglevMember& member : of) weights += member.weight;
  Evenness found;
  for (const MaglevMember& member : of) {
    const double wanted = member.weight / weights;
    const double share = owned[member.backend] / static_cast<double>(slots);
    found.largest = std::max(found.largest, share / wanted);
    found.smallest = std::min(found.smallest, share / wanted);
    found.worst_off_percent = std::max(found.worst_off_percent, 100 * std::max(share - wanted, wanted - share));
  }
  return found;
}

struct Disruption {
  double needed_percent = 0;  // slots of the backend that left
  double extra_percent = 0;   // slots that moved between two that stayed: mean over the samples
  double worst_percent = 0;   // the same: the worst sample
};

Disruption measure_removals(const Members& of, std::uint32_t slots) {
  const std::vector<std::uint16_t> before = build_maglev(of, slots);
  Disruption found;
  const std::size_t samples = std::min(kSamples, of.size());
  for (std::size_t i = 0; i < samples; ++i) {
    const std::size_t removed = i * of.size() / samples;
    Members rest = of;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(removed));
    const std::vector<std::uint16_t> after = build_maglev(rest, slots);
    std::size_t needed = 0;
    std::size_t extra = 0;
    for (std::size_t slot = 0; slot < slots; ++slot) {
      if (before[slot] == removed) {
        ++needed;
      } else if (before[slot] != after[slot]) {
        ++extra;
      }
    }
    const double percent = 100.0 * static_cast<double>(extra) / slots;
    found.needed_percent += 100.0 * static_cast<double>(needed) / slots / static_cast<double>(samples);
    found.extra_percent += percent / static_cast<double>(samples);
    found.worst_percent = std::max(found.worst_percent, percent);
  }
  return found;
}

void print_row(const Members& of, std::uint32_t slots) {
  const Evenness even = measure_evenness(of, slots);
  const Disruption moved = measure_removals(of, slots);
  fmt::print("| {} | {} | {:.4f} | {:.4f} | {:.3f} | {:.3f} | {:.3f} |\n", of.size(), slots, even.smallest,
             even.largest, moved.needed_percent, moved.extra_percent, moved.worst_percent);
}

void print_sizes() {
  constexpr unsigned kEqual[] = {1};
  fmt::print("| backends | slots | smallest share | largest share | must move, % | also moves, % | at worst, % |\n");
  fmt::print("|---|---|---|---|---|---|---|\n");
  for (const std::size_t backends : {std::size_t{10}, std::size_t{100}, std::size_t{1000}}) {
    for (const std::uint32_t slots : {4099U, 65537U, 655373U}) print_row(members(backends, kEqual), slots);
  }
}

void print_weights() {
  const std::vector<std::vector<unsigned>> cases = {{2, 1, 1}, {1, 2, 3, 4}, {10, 1}, {1000, 1}};
  fmt::print(
      "\n| weights, repeated | backends | slots | furthest from its share, % of all traffic | also moves, % |\n");
  fmt::print("|---|---|---|---|---|\n");
  for (const std::vector<unsigned>& weights : cases) {
    for (const std::size_t backends : {weights.size(), std::size_t{100}}) {
      const Members of = members(backends, weights);
      constexpr std::uint32_t kSlots = 65537;
      fmt::print("| {} | {} | {} | {:.5f} | {:.3f} |\n", fmt::join(weights, ":"), backends, kSlots,
                 measure_evenness(of, kSlots).worst_off_percent, measure_removals(of, kSlots).extra_percent);
    }
  }
}

}  // namespace
}  // namespace anypop::l4lb

int main(int argc, char**) {
  if (argc > 1) {
    std::fprintf(stderr, "maglev_evenness: found an argument, expected none; it prints the tables of l4lb/MAGLEV.md\n");
    return 2;
  }
  anypop::l4lb::print_sizes();
  anypop::l4lb::print_weights();
  return 0;
}
