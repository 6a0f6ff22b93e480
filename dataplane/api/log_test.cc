// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop {
namespace {

using namespace std::chrono_literals;
using Time = LogLimiter::Time;

TEST(LogKind, NumbersDoNotTellLinesApartButObjectsDo) {
  EXPECT_EQ(log_kind("event=snapshot generation=17 took_ms=0.25"), "event=snapshot generation=# took_ms=#");
  EXPECT_NE(log_kind("event=backend backend=b1"), log_kind("event=backend backend=b2"));
  EXPECT_NE(log_kind("event=x address=10.0.0.1"), log_kind("event=x address=10.0.0.2"));
  EXPECT_EQ(log_kind(R"(event=x error="port 4711: \"a=b\" 1" n=2)"), R"(event=x error="port #: \"a=b\" #" n=#)");
  EXPECT_EQ(log_kind("no pair at all"), "no pair at all");
  EXPECT_EQ(log_kind("cut=\"off \\"), "cut=\"off \\");
  EXPECT_EQ(log_kind("a="), "a=");
}

TEST(LogLimiter, ABurstPassesAndTheRestIsCounted) {
  LogLimiter limiter;
  const Time start(1h);
  unsigned passed = 0;
  for (int i = 0; i < 1000; ++i) passed += limiter.admit(fmt::format("event=flood n={}", i), start + 1ms * i);
  EXPECT_EQ(passed, LogLimiter::kBurst);
  EXPECT_TRUE(limiter.admit("event=other", start + 1s)) << "one kind must not silence another";
  EXPECT_TRUE(limiter.take_held_back(start + 9s).empty()) << "the window is not over";
  const auto held = limiter.take_held_back(start + LogLimiter::kWindow + 1s);
  ASSERT_EQ(held.size(), 1U);
  EXPECT_EQ(held[0].count, 1000 - LogLimiter::kBurst);
  EXPECT_EQ(held[0].line, fmt::format("event=flood n={}", LogLimiter::kBurst));
  EXPECT_TRUE(limiter.take_held_back(start + 1h).empty()) << "it is said once";
  EXPECT_TRUE(limiter.admit("event=flood n=1", start + 1h)) << "a new window";
}

TEST(LogLimiter, IsBounded) {
  LogLimiter limiter;
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(limiter.admit(fmt::format("event=x backend=b{}", i), Time(1h)));
    EXPECT_LE(limiter.kinds(), LogLimiter::kKindsMax);
  }
}

}  // namespace
}  // namespace anypop
