// SPDX-License-Identifier: Apache-2.0
#include "quiet.h"

#include <gtest/gtest.h>

namespace anypop::bgpctl {
namespace {

using namespace std::chrono_literals;

class Quiet : public testing::Test {
 protected:
  bool sample(int second, std::uint64_t packets, const char* instance = "a") {
    const QuietWatch::Time now = QuietWatch::Time(1h) + std::chrono::seconds(second);
    watch_.sample(instance, packets, now);
    return watch_.quiet(now);
  }
  QuietWatch watch_{10, 3s};
};

TEST_F(Quiet, NeedsTheWholeTime) {
  EXPECT_FALSE(sample(0, 1000));
  EXPECT_FALSE(sample(1, 1010));
  EXPECT_EQ(watch_.pps(), 10);
  EXPECT_FALSE(sample(2, 1010));
  EXPECT_TRUE(sample(3, 1020));
  EXPECT_TRUE(sample(4, 1020));
}

TEST_F(Quiet, ABurstBeginsItAnew) {
  sample(0, 0), sample(1, 0), sample(2, 0);
  EXPECT_FALSE(sample(3, 11));
  EXPECT_FALSE(sample(5, 11));
  EXPECT_TRUE(sample(6, 11));
}

TEST_F(Quiet, ACounterThatBeginsAnewOrIsNotReadSaysNothing) {
  sample(0, 50), sample(1, 50), sample(2, 50);
  EXPECT_FALSE(sample(3, 0, "b"));
  EXPECT_FALSE(watch_.pps());
  EXPECT_FALSE(sample(5, 0, "b"));
  watch_.unknown();
  EXPECT_FALSE(sample(9, 0, "b"));
  EXPECT_TRUE(sample(12, 0, "b"));
}

}  // namespace
}  // namespace anypop::bgpctl
