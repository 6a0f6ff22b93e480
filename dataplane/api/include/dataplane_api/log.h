// SPDX-License-Identifier: Apache-2.0
// The log of a daemon: lines of logfmt on standard error, each with its level, `event=` and the object it speaks of.
// Under systemd each line begins with its priority (sd-daemon(3)) instead of the time, which the journal knows.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace anypop {

// Holds back what says the same again and again: of each kind of line `burst` pass in a window, and the rest are
// counted. Two lines are of a kind if they differ in numbers only: 'took_ms=12', and every digit inside quotes. Objects
// keep lines apart, so a talkative backend does not silence another one. Pure. Bounded: kKindsMax kinds; when there are
// more, those whose window is over are forgotten, and then all. One thread.
class LogLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr unsigned kBurst = 10;
  static constexpr std::chrono::seconds kWindow{10};
  static constexpr std::size_t kKindsMax = 1024;

  // May the line be written now?
  bool admit(std::string_view line, Time now);
  // Lines of which some were held back in a window that is over at `now`: the first of each kind, and how many.
  struct HeldBack {
    std::string line;
    std::uint64_t count = 0;
  };
  std::vector<HeldBack> take_held_back(Time now);
  std::size_t kinds() const { return kinds_.size(); }

 private:
  struct Kind {
    Time began;
    unsigned passed = 0;
    std::uint64_t held_back = 0;
    std::string first;
  };
  std::unordered_map<std::string, Kind> kinds_;
  Time next_sweep_{};
};

// What a line has in common with its like. Exposed for tests.
std::string log_kind(std::string_view line);

// Makes spdlog's default logger one that writes as above. To be called once, before any thread logs.
void start_log(bool verbose);

}  // namespace anypop
