// SPDX-License-Identifier: Apache-2.0
// The clock against a counter of another frequency than it was told.
#include "dataplane/worker_clock.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace anypop::dataplane {
namespace {

constexpr std::uint64_t kHz = 2'394'371'000;
constexpr std::uint64_t kMs = 1'000'000;  // in ns
constexpr std::uint64_t kSecond = 1000 * kMs;

// A machine whose counter really has kHz, and started long ago.
struct Machine {
  std::uint64_t ns = 86'400 * kSecond + 123'456;
  unsigned readings = 0;

  static std::uint64_t tsc_at(std::uint64_t ns) {
    return ns / kSecond * kHz + ns % kSecond * (kHz / 1000) / kMs;  // without an overflow
  }
  std::uint64_t tsc() const { return tsc_at(ns); }
  WorkerClock clock(std::uint64_t told_hz) const { return {told_hz, tsc(), ns}; }
  std::uint64_t ask(WorkerClock& clock) {
    return clock.now_ms(tsc(), [this] {
      ++readings;
      return ns;
    });
  }
};

class WorkerClockTold : public testing::TestWithParam<double> {};

TEST_P(WorkerClockTold, StaysWithTheMonotonicClockForHoursAndNeverGoesBack) {
  Machine machine;
  WorkerClock clock = machine.clock(static_cast<std::uint64_t>(kHz * GetParam()));
  std::uint64_t before = machine.ask(clock);
  EXPECT_EQ(before, machine.ns / kMs);
  constexpr std::uint64_t kHours = 6;
  for (const std::uint64_t end = machine.ns + kHours * 3600 * kSecond; machine.ns < end; machine.ns += 7'654'321) {
    const std::uint64_t now = machine.ask(clock);
    ASSERT_GE(now, before);
    before = now;
    ASSERT_LE(std::abs(static_cast<std::int64_t>(now - machine.ns / kMs)), 3) << machine.ns;
  }
  EXPECT_NEAR(machine.readings, kHours * 3600, kHours * 3600 / 50.0) << "one a second is enough";
}
// Exact; a multiple of 10 MHz, as DPDK may round it; wrong either way.
INSTANTIATE_TEST_SUITE_P(Frequencies, WorkerClockTold, testing::Values(1.0, 2.39e9 / kHz, 0.998, 1.002));

TEST(WorkerClock, WorkersThatStartApartMeanTheSameTime) {
  Machine machine;
  WorkerClock first = machine.clock(kHz);
  machine.ns += 700'000;  // the next millisecond has begun
  WorkerClock second = machine.clock(kHz);
  for (int i = 0; i < 100'000; ++i, machine.ns += 12'345) ASSERT_EQ(machine.ask(first), machine.ask(second)) << i;
}

TEST(WorkerClock, AfterALongSleepTheClockIsReadAnew) {
  Machine machine;
  WorkerClock clock = machine.clock(kHz / 2 * 3);
  machine.ns += 5 * 3600 * kSecond;
  EXPECT_EQ(machine.ask(clock), machine.ns / kMs);
}

TEST(WorkerClock, ACounterThatGoesBackDoesNotTakeTheTimeWithIt) {
  Machine machine;
  WorkerClock clock = machine.clock(kHz);
  const std::uint64_t before = machine.ask(clock);
  machine.ns += 20 * kMs;
  const auto read = [&] { return machine.ns; };
  EXPECT_EQ(clock.now_ms(1000, read), before + 20) << "another machine after a migration";
  machine.ns += 20 * kMs;
  EXPECT_EQ(clock.now_ms(1000 + 20 * (kHz / 1000), read), before + 40);
}

}  // namespace
}  // namespace anypop::dataplane
