// SPDX-License-Identifier: Apache-2.0
#include "checksum.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "l4lb_testing/packet_builder.h"

namespace anypop::l4lb {
namespace {

// A second opinion, a word at a time.
std::uint16_t naive_checksum(std::span<const std::byte> bytes) {
  return l4lb_testing::checksum_fold(l4lb_testing::checksum_sum(bytes));
}

std::vector<std::byte> random_bytes(std::size_t count, std::mt19937_64& random) {
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

constexpr std::uint64_t kSeed = 1071;

TEST(Checksum, OfAnyNumberOfBytesThatBeginAnywhere) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937_64 random(kSeed);
  for (std::size_t size = 0; size <= 200; ++size) {
    const std::vector<std::byte> bytes = random_bytes(size + 3, random);
    for (std::size_t at = 0; at < 4; ++at) {
      const std::span<const std::byte> part = std::span(bytes).subspan(at, size);
      ASSERT_EQ(checksum(sum_words(part)).host(), naive_checksum(part)) << size << " bytes at " << at;
    }
  }
}

TEST(Checksum, OfTheLargestPacketDoesNotOverflow) {
  for (const unsigned fill : {0x00U, 0x01U, 0x80U, 0xffU}) {
    const std::vector<std::byte> bytes(65535, static_cast<std::byte>(fill));
    EXPECT_EQ(checksum(sum_words(bytes)).host(), naive_checksum(bytes)) << fill;
  }
}

TEST(Checksum, PartsOfAnEvenNumberOfBytesAddUp) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937_64 random(kSeed);
  const std::vector<std::byte> bytes = random_bytes(101, random);
  for (std::size_t cut = 0; cut <= bytes.size(); cut += 2) {
    const auto whole = std::span<const std::byte>(bytes);
    EXPECT_EQ(checksum(sum_words(whole.first(cut)) + sum_words(whole.subspan(cut))).host(), naive_checksum(bytes))
        << cut;
    EXPECT_EQ(fold(sum_raw(whole.first(cut)) + sum_raw(whole.subspan(cut))), fold(sum_raw(whole))) << cut;
  }
}

// The example of RFC 1071 section 3.
TEST(Checksum, OfTheExample) {
  constexpr std::array<std::uint8_t, 8> kExample = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(checksum(sum_words(std::as_bytes(std::span(kExample)))).host(), 0x220d);
}

}  // namespace
}  // namespace anypop::l4lb
