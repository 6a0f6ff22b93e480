// SPDX-License-Identifier: Apache-2.0
#include "base/duration.h"

#include <gtest/gtest.h>

namespace anypop {
namespace {

TEST(Duration, ReadsWhatOperatorsType) {
  EXPECT_EQ(*parse_duration_ms("90s"), 90'000);
  EXPECT_EQ(*parse_duration_ms("30m"), 1'800'000);
  EXPECT_EQ(*parse_duration_ms("2h"), 7'200'000);
  EXPECT_EQ(*parse_duration_ms("1d"), 86'400'000);
}

TEST(Duration, RefusesEverythingElse) {
  for (const char* text : {"", "s", "90", "0s", "-1s", "1.5h", "1h30m", "1 h", "400d", "9999999999999999999d", "5w"}) {
    EXPECT_FALSE(parse_duration_ms(text).ok()) << text;
  }
}

TEST(Duration, ReadsMoments) {
  constexpr std::int64_t kNow = 1'800'000'000'000'000'000;
  EXPECT_EQ(*parse_moment_ns("2h", kNow), kNow - 7'200'000'000'000);
  EXPECT_EQ(*parse_moment_ns("2026-11-20T17:00:00Z", kNow), 1'795'194'000'000'000'000);
  for (const char* text :
       {"", "yesterday", "2026-11-20", "2026-13-20T17:00:00Z", "2026-11-20T17:00:00Z ", "2026-11-20T17:00:00"}) {
    EXPECT_FALSE(parse_moment_ns(text, kNow).ok()) << text;
  }
}

TEST(Duration, IsWrittenInItsTwoLargestUnits) {
  EXPECT_EQ(duration_text(0), "0 s");
  EXPECT_EQ(duration_text(-5), "0 s");
  EXPECT_EQ(duration_text(42'000), "42 s");
  EXPECT_EQ(duration_text(125'000), "2 min 5 s");
  EXPECT_EQ(duration_text(90'061'000), "1 d 1 h");
}

}  // namespace
}  // namespace anypop
