// SPDX-License-Identifier: Apache-2.0
#include "adjacency.h"

#include <cstddef>
#include <cstdint>
#include <span>

#include <gtest/gtest.h>

#include "l4lb_testing/packets.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::Frame;

constexpr std::size_t kOuterAt = 14;
constexpr std::size_t kUdpAt = kOuterAt + 40;

// What a receiver makes of it (RFC 8200 section 8.1): over the pseudo-header and the datagram; 0 when nothing is wrong.
std::uint16_t checksum_at_receiver(const Frame& frame) {
  const std::span<const std::byte> bytes(frame);
  const std::span<const std::byte> datagram = bytes.subspan(kUdpAt);
  const auto rest = static_cast<std::uint32_t>(datagram.size() + 17);
  return l4lb_testing::checksum_fold(
      l4lb_testing::checksum_sum(datagram, l4lb_testing::checksum_sum(bytes.subspan(kOuterAt + 8, 32), rest)));
}

// RFC 8200 section 8.1: a checksum of zero goes out as 0xffff. The inner datagram has none, so that its two bytes of
// payload bring the outer one to every value that it can have.
TEST(Adjacency, TheChecksumOfGueOverIpv6IsRightAndNeverZero) {
  ServiceConfig service;
  service.vip = *IpAddress::parse("198.51.100.1");
  service.forwarding = Forwarding::kGue;
  service.tunnel.sources = {*IpPrefix::parse("2001:db8:f::/64")};
  const Adjacency adjacency = make_adjacency(service, *IpAddress::parse("2001:db8:a::1"),
                                             MacAddress({2, 0, 0, 0, 0, 1}), MacAddress({2, 0, 0, 0, 0, 2}), 1500);
  Frame inner = l4lb_testing::eth().ip({.destination = "198.51.100.1"}).udp({.zero_checksum = true}).payload(2).build();
  unsigned all_ones = 0;
  for (std::uint32_t payload = 0; payload <= 0xffff; ++payload) {
    inner[inner.size() - 2] = static_cast<std::byte>(payload >> 8U);
    inner[inner.size() - 1] = static_cast<std::byte>(payload);
    l4lb_testing::Burst burst(std::span(&inner, 1));
    burst[0].ip_offset = kOuterAt;
    ASSERT_EQ(send_by<V4>(adjacency, 1071, burst[0]), Verdict::kForward);
    const Frame sent = burst.frame(0);
    const std::uint32_t checksum =
        std::to_integer<std::uint32_t>(sent[kUdpAt + 6]) << 8U | std::to_integer<std::uint32_t>(sent[kUdpAt + 7]);
    ASSERT_NE(checksum, 0U) << payload;
    ASSERT_EQ(checksum_at_receiver(sent), 0) << payload;
    all_ones += checksum == 0xffff ? 1 : 0;
  }
  EXPECT_GT(all_ones, 0U);
}

}  // namespace
}  // namespace anypop::l4lb
