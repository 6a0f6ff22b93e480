// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include <gtest/gtest.h>

#include "anypop_capture/frame_text.h"
#include "anypop_capture/pcapng_writer.h"

namespace anypop::capture {
namespace {

std::vector<std::byte> bytes(std::string_view hex) {
  std::vector<std::byte> out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

constexpr std::string_view kMacs = "020000000001020000000002";

std::string ipv4(std::string_view protocol) {
  return "45000028000000004 0" + std::string(protocol) + "0000cb007109c6336401";
}

std::vector<std::byte> frame(std::string text) {
  std::erase(text, ' ');
  return bytes(std::string(kMacs) + text);
}

TEST(FrameText, SaysWhoTalksToWhom) {
  EXPECT_EQ(frame_text(frame("0800" + ipv4("06") + "0400 0050 00000001 00000000 5012")),
            "203.0.113.9:1024 > 198.51.100.1:80 tcp SA");
  EXPECT_EQ(frame_text(frame("8100 0007 0800" + ipv4("11") + "0400 0035")),
            "vlan 7 203.0.113.9:1024 > 198.51.100.1:53 udp");
  EXPECT_EQ(frame_text(frame("0800" + ipv4("01") + "0800")), "203.0.113.9 > 198.51.100.1 icmp type 8 code 0");
  EXPECT_EQ(frame_text(frame("86dd 60000000 0000 06 40 20010db8000000000000000000000001 "
                             "20010db8000000000000000000000002 0400 0050")),
            "[2001:db8::1]:1024 > [2001:db8::2]:80 tcp");
  EXPECT_EQ(frame_text(frame("0806")), "arp");
  EXPECT_EQ(frame_text(frame("88cc")), "ethertype 0x88cc");
}

TEST(FrameText, TakesACutAnywhere) {
  const auto whole = frame("8100 0007 0800" + ipv4("06") + "0400 0050 00000001 00000000 5012");
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(frame_text(cut).empty());
  }
}

TEST(PcapngWriter, BlocksAreWholeAndAnInterfaceIsDescribedOnce) {
  PcapngWriter writer;
  const auto data = frame("0806");
  const PcapngPacket packet{1, "uplink", 60, data, "drop_no_service"};
  const std::string first = writer.packet(packet);
  const std::string second = writer.packet(packet);
  EXPECT_GT(first.size(), second.size());
  EXPECT_NE(first.find("uplink"), std::string::npos);
  EXPECT_NE(second.find("drop_no_service"), std::string::npos);
  const std::string all = PcapngWriter::header() + first + second;
  std::size_t at = 0;
  unsigned blocks = 0;
  while (at < all.size()) {
    std::uint32_t length = 0;
    std::memcpy(&length, all.data() + at + 4, sizeof length);
    ASSERT_EQ(length % 4, 0U);
    ASSERT_LE(at + length, all.size());
    std::uint32_t again = 0;
    std::memcpy(&again, all.data() + at + length - 4, sizeof again);
    ASSERT_EQ(again, length);
    at += length;
    ++blocks;
  }
  EXPECT_EQ(blocks, 4U);
}

}  // namespace
}  // namespace anypop::capture
