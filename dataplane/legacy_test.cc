// SPDX-License-Identifier: Apache-2.0
#include "dataplane/legacy.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

using testing::HasSubstr;

LegacyFile example() {
  LegacyFile file{.legacy = {.monitored = true, .health = {}, .slots = std::string("\0\n slots\xff", 9)},
                  .epoch = 0xfedcba9876543210,
                  .boot = "b-1"};
  file.legacy.health.backends.push_back({"web", "b1", false, 250});
  return file;
}

std::string refusal(std::string_view bytes) { return std::string(message(decode_legacy(bytes).status())); }

TEST(Legacy, SurvivesTheRoundTrip) {
  const std::string bytes = encode(example());
  const auto read = decode_legacy(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(encode(*read), bytes);
  EXPECT_TRUE(read->legacy.monitored);
  ASSERT_EQ(read->legacy.health.backends.size(), 1U);
  EXPECT_EQ(read->legacy.health.backends[0].weight_permille, 250U);
  EXPECT_EQ(read->legacy.slots, example().legacy.slots);
  EXPECT_EQ(read->epoch, example().epoch);
  EXPECT_EQ(read->boot, "b-1");
}

TEST(Legacy, WhatIsWrongIsSaidInOneLine) {
  const std::string bytes = encode(example());
  EXPECT_THAT(refusal(""), HasSubstr("expected a file that begins with 'anypop-takeover'"));
  EXPECT_THAT(refusal(std::string(100'000, 'x')), HasSubstr("begins with"));
  EXPECT_THAT(refusal("anypop-takeover 2" + bytes.substr(17)), HasSubstr("found version '2', expected 1"));
  EXPECT_THAT(refusal(bytes.substr(0, bytes.size() - 1)), HasSubstr("it was cut"));
  EXPECT_THAT(refusal(bytes + "x"), HasSubstr("as many as its first line says"));
  std::string damaged = bytes;
  damaged.back() = '\xfe';
  EXPECT_THAT(refusal(damaged), HasSubstr("wrong checksum"));
}

TEST(Legacy, AnyBytesAreRefusedOrRead) {
  std::mt19937 random(1);
  const std::string good = encode(example());
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = good.substr(0, random() % (good.size() + 1));
    for (unsigned changes = random() % 4; changes > 0 && !bytes.empty(); --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const auto read = decode_legacy(bytes);
    EXPECT_TRUE(read.ok() || message(read.status()).find('\n') == std::string_view::npos) << message(read.status());
  }
}

}  // namespace
}  // namespace anypop::dataplane
