// SPDX-License-Identifier: Apache-2.0
#include "quic.h"

#include <initializer_list>

#include <gtest/gtest.h>

#include "flow.h"
#include "l4lb_testing/packet_builder.h"
#include "parse.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;

Frame bytes(std::initializer_list<unsigned> values, std::size_t padded_to = 0) {
  Frame frame;
  for (const unsigned value : values) frame.push_back(static_cast<std::byte>(value));
  if (frame.size() < padded_to) frame.resize(padded_to);
  return frame;
}

Frame initial(std::initializer_list<unsigned> start) { return bytes(start, kQuicInitialBytes); }

TEST(Quic, AnInitialOpensAConnection) {
  EXPECT_TRUE(is_quic_initial(initial({0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0})));
  EXPECT_TRUE(is_quic_initial(initial({0xcf, 0, 0, 0, 1, 0, 0}))) << "the low bits are protected";
  EXPECT_TRUE(is_quic_initial(initial({0x80, 0, 0, 0, 1, 8}))) << "the fixed bit may be greased (RFC 9287)";
  EXPECT_TRUE(is_quic_initial(initial({0xc0, 0xff, 0, 0, 29, 8}))) << "a draft of version 1";
  EXPECT_TRUE(is_quic_initial(initial({0xd0, 0x6b, 0x33, 0x43, 0xcf, 8}))) << "version 2";
}

TEST(Quic, NothingElseDoes) {
  EXPECT_FALSE(is_quic_initial({}));
  EXPECT_FALSE(is_quic_initial(bytes({0xc0, 0, 0, 0, 1, 8}, kQuicInitialBytes - 1))) << "servers drop it";
  EXPECT_FALSE(is_quic_initial(initial({0x40, 0, 0, 0, 1, 8}))) << "short header";
  for (const unsigned type : {0xd0U, 0xe0U, 0xf0U}) EXPECT_FALSE(is_quic_initial(initial({type, 0, 0, 0, 1, 8})));
  for (const unsigned type : {0xc0U, 0xe0U, 0xf0U}) {
    EXPECT_FALSE(is_quic_initial(initial({type, 0x6b, 0x33, 0x43, 0xcf, 8}))) << "version 2 numbers them otherwise";
  }
  EXPECT_FALSE(is_quic_initial(initial({0xc0, 0, 0, 0, 0, 8}))) << "version negotiation";
  EXPECT_FALSE(is_quic_initial(initial({0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8}))) << "a version nobody knows";
}

TEST(Quic, TheDestinationIdOfALongHeader) {
  const Frame whole = bytes({0xe0, 9, 9, 9, 9, 3, 7, 8, 9, 1, 2});
  const auto id = quic_destination_id(whole);
  EXPECT_EQ(Frame(id.begin(), id.end()), bytes({7, 8, 9}));
  const Frame cut = bytes({0xe0, 9, 9, 9, 9, 3, 7, 8});
  EXPECT_TRUE(quic_destination_id(cut).empty());
  EXPECT_TRUE(quic_destination_id(std::span(cut).first(5)).empty());
  const Frame none = bytes({0xe0, 9, 9, 9, 9, 0, 0});
  EXPECT_TRUE(quic_destination_id(none).empty());
  const Frame longest = bytes({0xe0, 9, 9, 9, 9, 255}, 6 + 255);
  EXPECT_EQ(quic_destination_id(longest).size(), 255) << "other versions may have such";
}

TEST(Quic, TheDestinationIdOfAShortHeader) {
  const Frame small = bytes({0x40, 1, 2, 3});
  EXPECT_EQ(quic_destination_id(small).data(), small.data() + 1);
  EXPECT_EQ(quic_destination_id(small).size(), 3);
  EXPECT_EQ(quic_destination_id(bytes({0x00}, 100)).size(), 20);
  EXPECT_TRUE(quic_destination_id(bytes({0x40})).empty());
  EXPECT_TRUE(quic_destination_id({}).empty());
}

template <class F>
class UdpPayload : public testing::Test {
 protected:
  static constexpr bool kV4 = F::kFamily == Family::kV4;
  static std::size_t bytes_of(const Frame& frame) { return udp_payload<F>(frame, 14).size(); }
};
using Families = testing::Types<V4, V6>;
TYPED_TEST_SUITE(UdpPayload, Families);

TYPED_TEST(UdpPayload, IsWhatFollowsTheHeaders) {
  const char* vip = this->kV4 ? "198.51.100.1" : "2001:db8:53::1";
  const Frame frame = eth().ip({.destination = vip, .option_bytes = 8}).udp().payload(100).pad_to(400);
  const auto payload = udp_payload<TypeParam>(frame, 14);
  EXPECT_EQ(payload.size(), 100);
  EXPECT_EQ(payload.data() - frame.data(), this->kV4 ? 14 + 28 + 8 : 14 + 40 + 8);
  EXPECT_EQ(this->bytes_of(eth().ip({.destination = vip}).udp()), 0);
  EXPECT_EQ(this->bytes_of(eth().ip({.destination = vip}).tcp().payload(100)), 0);
  EXPECT_EQ(this->bytes_of(eth().ip({.destination = vip}).udp().payload(100).cut_last(1)), 0);
  const Frame first = this->kV4 ? eth().ip({.destination = vip, .more_fragments = true}).udp().payload(100)
                                : eth().ip({.destination = vip}).fragment({.more = true}).udp().payload(100);
  EXPECT_EQ(this->bytes_of(first), 0) << "fragments go the flow's way";
}

TEST(UdpPayloadV6, BehindExtensions) {
  const Frame frame = eth().ip({.destination = "2001:db8:53::1"}).hop_by_hop().destination_options(24).udp().payload(9);
  EXPECT_EQ(udp_payload<V6>(frame, 14).data() - frame.data(), 14 + 40 + 8 + 24 + 8);
}

}  // namespace
}  // namespace anypop::l4lb
