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
  for (const Case& one : cases) {
    const auto same = std::ranges::find_if(all, [&](const Measured& m) { return same_but_name(m.what, one); });
    if (same != all.end()) {
      all.push_back({one, same->result});
      continue;
    }
    progress(all.size(), cases.size(), name_of(one));
    const auto result = measure(one, budget);
    if (!result.ok()) {
      fmt::print(stderr, "anypop bench: {}\n", message(result.status()));
      return 1;
    }
    all.push_back({one, *result});
  }
  progress(all.size(), all.size(), {});
  fmt::print("{}", request.json ? json(references, all) : table(references, all));
  return 0;
}

}  // namespace anypop::bench
