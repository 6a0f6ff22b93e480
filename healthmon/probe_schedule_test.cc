// SPDX-License-Identifier: Apache-2.0
#include "healthmon/probe_schedule.h"

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace anypop::healthmon {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{1h};

// Starts by millisecond, over `duration`, when every probe ends as soon as it has begun.
std::map<Milliseconds, unsigned> run(ProbeSchedule& schedule, Milliseconds interval, Milliseconds duration) {
  std::map<Milliseconds, unsigned> starts;
  while (schedule.next() < kStart + duration) {
    const SteadyTime now = schedule.next();
    ProbeSchedule::Start start;
    while (schedule.take(now, start)) {
      ++starts[std::chrono::floor<Milliseconds>(now - kStart)];
      schedule.finished(start.probe, interval, now);
    }
  }
  return starts;
}

unsigned most(const std::map<Milliseconds, unsigned>& starts, Milliseconds from, Milliseconds to) {
  unsigned found = 0;
  for (const auto& [at, count] : starts) {
    if (at >= from && at < to) found = std::max(found, count);
  }
  return found;
}

TEST(ProbeSchedule, ThousandsOfProbesNeverBeginInOneBurst) {
  ProbeSchedule schedule(1);
  for (int i = 0; i < 2000; ++i) schedule.add(1000ms, 10, kStart);
  const auto starts = run(schedule, 1000ms, 60s);
  EXPECT_LE(most(starts, 0ms, 900ms), 7U) << "2 in every millisecond is the mean, and 2 ms are taken together";
  EXPECT_LE(most(starts, 30s, 60s), 24U) << "jitter makes them random: about 2 a millisecond, and sometimes more";
  unsigned total = 0;
  for (const auto& [at, count] : starts) total += count;
  EXPECT_NEAR(total, 2000 * 60 / 0.95, 2500) << "intervals are shortened by 5 percent on average";
}

TEST(ProbeSchedule, TheSameSeedIsTheSameSchedule) {
  const auto with = [](std::uint64_t seed) {
    ProbeSchedule schedule(seed);
    for (int i = 0; i < 20; ++i) schedule.add(100ms, 10, kStart);
    return run(schedule, 100ms, 5s);
  };
  EXPECT_EQ(with(7), with(7));
  EXPECT_NE(with(7), with(8));
}

TEST(ProbeSchedule, AProbeThatOutlastsItsIntervalDelaysItsSuccessorOnly) {
  ProbeSchedule schedule(1);
  schedule.add(100ms, 0, kStart);
  schedule.add(100ms, 0, kStart);
  ProbeSchedule::Start start;
  ASSERT_TRUE(schedule.take(kStart, start));
  ASSERT_EQ(start.probe, 0U);
  EXPECT_FALSE(schedule.take(kStart, start)) << "one start until it has finished";
  EXPECT_FALSE(schedule.take(kStart + 59ms, start)) << "its start is at 61.8 ms";
  ASSERT_TRUE(schedule.take(kStart + 62ms, start));
  ASSERT_EQ(start.probe, 1U);
  schedule.finished(1, 100ms, kStart + 63ms);
  schedule.finished(0, 100ms, kStart + 130ms);
  EXPECT_EQ(schedule.next(), kStart + 130ms) << "at once";
  ASSERT_TRUE(schedule.take(kStart + 130ms, start));
  schedule.finished(0, 500ms, kStart + 131ms);
  EXPECT_LT(schedule.next(), kStart + 165ms) << "the other keeps its time";
}

TEST(ProbeSchedule, LatenessIsToldAndNotHandedOn) {
  ProbeSchedule schedule(1);
  schedule.add(100ms, 0, kStart);
  ProbeSchedule::Start start;
  ASSERT_TRUE(schedule.take(kStart + 7ms, start));
  EXPECT_EQ(start.late, 7ms);
  schedule.finished(0, 100ms, kStart + 8ms);
  EXPECT_EQ(schedule.next(), kStart + 100ms) << "from planned start to planned start";
}

TEST(ProbeSchedule, StartsThatLieTogetherAreTakenTogether) {
  ProbeSchedule schedule(1);
  for (int i = 0; i < 2000; ++i) schedule.add(1000ms, 10, kStart);
  unsigned wakes = 0;
  unsigned starts = 0;
  for (; schedule.next() < kStart + 900ms; ++wakes) {
    const SteadyTime now = schedule.next();
    for (ProbeSchedule::Start start; schedule.take(now, start); ++starts) EXPECT_EQ(start.late, 0ms);
  }
  EXPECT_GE(starts, 1795U);
  EXPECT_LE(wakes, starts / 4) << "each sleep that is saved is worth several probes";
}

TEST(ProbeSchedule, AStartThatWasEarlyMakesTheNextOneNoEarlier) {
  ProbeSchedule schedule(1);
  schedule.add(100ms, 0, kStart);
  ProbeSchedule::Start start;
  ASSERT_TRUE(schedule.take(kStart - 2ms, start));
  schedule.finished(0, 100ms, kStart - 1ms);
  EXPECT_EQ(schedule.next(), kStart + 100ms);
  EXPECT_FALSE(schedule.take(kStart + 97ms, start));
}

TEST(ProbeSchedule, AShortIntervalStaysWhatItIs) {
  ProbeSchedule schedule(1);
  schedule.add(16ms, 0, kStart);
  ProbeSchedule::Start start;
  EXPECT_FALSE(schedule.take(kStart - 1500us, start));
  EXPECT_TRUE(schedule.take(kStart - 1ms, start));
}

TEST(ProbeSchedule, AfterALongStopTheStartsAreSpreadAnew) {
  ProbeSchedule schedule(1);
  for (int i = 0; i < 100; ++i) schedule.add(1000ms, 10, kStart);
  ProbeSchedule::Start start;
  unsigned at_once = 0;
  while (schedule.take(kStart + 10s, start)) ++at_once;
  EXPECT_LE(at_once, 1U);
  EXPECT_LE(schedule.next(), kStart + 11s);
}

TEST(Jitter, ShortensByAtMostItsShare) {
  EXPECT_EQ(jittered(100ms, 10, 0), 100ms);
  EXPECT_EQ(jittered(100ms, 10, 10'000), 90ms);
  EXPECT_EQ(jittered(100ms, 0, 12345), 100ms);
  for (std::uint64_t random = 0; random < 100'000; random += 7) {
    EXPECT_GE(jittered(100ms, 10, random), 90ms);
    EXPECT_LE(jittered(100ms, 10, random), 100ms);
  }
  EXPECT_EQ(jittered(0ms, 10, 12345), 0ms);
}

}  // namespace
}  // namespace anypop::healthmon
