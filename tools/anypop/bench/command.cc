// SPDX-License-Identifier: Apache-2.0
#include "anypop_bench/command.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop::bench {
namespace {

constexpr std::chrono::milliseconds kQuick{300};
constexpr std::chrono::milliseconds kFull{1000};

std::string name_of(const Case& one) { return fmt::format("{} / {}", one.group, one.name); }

// One line that is written over; nothing if nobody looks.
void progress(std::size_t done, std::size_t all, const std::string& name) {
  static const bool looks = ::isatty(STDERR_FILENO) == 1;
  if (!looks) return;
  fmt::print(stderr, "\r\x1b[K{}", done == all ? std::string() : fmt::format("[{}/{}] {}", done + 1, all, name));
  std::fflush(stderr);
}

// One round over all cases; of each, the best round stays.
absl::Status measure_all(const std::vector<Case>& cases, std::chrono::milliseconds budget, unsigned round,
                         std::vector<Measured>& all) {
  for (std::size_t i = 0; i < cases.size(); ++i) {
    progress(i, cases.size(), fmt::format("round {}: {}", round + 1, name_of(cases[i])));
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(i, all.size()));
    const auto same =
        std::find_if(all.begin(), end, [&](const Measured& m) { return same_but_name(m.what, cases[i]); });
    absl::StatusOr<Result> result = same == end ? measure(cases[i], budget) : same->result;
    if (!result.ok()) return result.status();
    if (round == 0) {
      all.push_back({cases[i], *result});
    } else if (result->ns < all[i].result.ns) {
      all[i].result = *result;
    }
  }
  return absl::OkStatus();
}

}  // namespace

int run(const Request& request) {
  std::vector<Case> cases = make_cases(request.full);
  std::erase_if(cases, [&](const Case& one) { return name_of(one).find(request.only) == std::string::npos; });
  if (cases.empty()) {
    fmt::print(stderr, "anypop bench: found no case whose name contains '{}'\n", escaped(request.only));
    return 1;
  }
  auto budget = request.per_case;
  if (budget.count() == 0) budget = request.full ? kFull : kQuick;
  const References references = measure_references(budget);
  std::vector<Measured> all;
  for (unsigned round = 0; round < request.rounds; ++round) {
    if (const absl::Status status = measure_all(cases, budget, round, all); !status.ok()) {
      fmt::print(stderr, "anypop bench: {}\n", message(status));
      return 1;
    }
  }
  progress(all.size(), all.size(), {});
  fmt::print("{}", request.json ? json(references, all) : table(references, all));
  return 0;
}

}  // namespace anypop::bench
