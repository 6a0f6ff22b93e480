// SPDX-License-Identifier: Apache-2.0
// What the golden rows cannot say about ICMP and fragments: every checksum, policies, and that they find the flow's own
// backend among several.
#include <set>

#include <gtest/gtest.h>

#include "flow.h"
#include "golden_rows.h"
#include "l4lb/pipeline.h"
#include "l4lb_testing/packets.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;
using l4lb_testing::IpFields;
using l4lb_testing::PacketBuilder;

template <class F>
class Icmp : public testing::Test {
 protected:
  static constexpr bool kV4 = F::kFamily == Family::kV4;
  static constexpr const char* kVip = kV4 ? "198.51.100.1" : "2001:db8:53::1";
  static constexpr const char* kClient = kV4 ? "192.0.2.10" : "2001:db8:c::10";
  static constexpr std::uint8_t kRequest = kV4 ? 8 : 128;
  static constexpr std::uint8_t kReply = kV4 ? 0 : 129;

  void use(const EngineConfig& engine) {
    snapshot_ = SnapshotBuilder(services_, kGoldenKey, engine).build(input_);
    state_ = WorkerState(engine);
  }
  Packet process(Frame& frame, std::uint32_t now_ms = 0) {
    l4lb_testing::Burst burst({&frame, 1});
    process_burst(*snapshot_, burst.packets(), now_ms, state_, counters_);
    frame = burst.frame(0);
    return burst[0];
  }
  Verdict ping(std::uint32_t now_ms = 0) {
    Frame frame = eth().ip({.destination = kVip}).icmp({.type = kRequest});
    return process(frame, now_ms).verdict;
  }

  const std::vector<ServiceConfig> services_ = golden_services();
  SnapshotInput input_ = golden_input();
  std::shared_ptr<const Snapshot> snapshot_ = SnapshotBuilder(services_, kGoldenKey, golden_engine()).build(input_);
  WorkerState state_{golden_engine()};
  Counters counters_{services_};
};
using Families = testing::Types<V4, V6>;
TYPED_TEST_SUITE(Icmp, Families);

// All values of one word of the request bring about all checksums.
TYPED_TEST(Icmp, EveryChecksumOfAnEchoIsTheOneOfAFullSum) {
  std::set<std::uint16_t> checksums;
  const std::size_t at = TestFixture::kV4 ? 14 + 20 : 14 + 40;
  for (std::uint32_t word = 0; word < 0x10000; ++word) {
    Frame frame = eth().ip({.destination = this->kVip}).icmp({.type = this->kRequest, .rest = word});
    ASSERT_EQ(verdict_name(this->process(frame).verdict), "reply_echo");
    const Frame expected = eth({.destination = "02:00:00:00:00:02", .source = "02:00:00:00:00:01"})
                               .ip({.source = this->kVip, .destination = this->kClient})
                               .icmp({.type = this->kReply, .rest = word});
    ASSERT_EQ(frame, expected) << word << '\n' << l4lb_testing::hex(frame) << '\n' << l4lb_testing::hex(expected);
    checksums.insert(static_cast<std::uint16_t>(std::to_integer<unsigned>(frame[at + 2]) * 256 +
                                                std::to_integer<unsigned>(frame[at + 3])));
  }
  // 0xffff stands for a message of zeros only, which IPv6 with its pseudo header does not have.
  EXPECT_EQ(checksums.size(), TestFixture::kV4 ? 0x10000 : 0xffff);
}

TYPED_TEST(Icmp, AWrongChecksumStaysWrong) {
  const std::size_t at = TestFixture::kV4 ? 14 + 20 : 14 + 40;
  for (unsigned bit = 0; bit < 16; ++bit) {
    Frame good = eth().ip({.destination = this->kVip}).icmp({.type = this->kRequest}).payload(3);
    Frame bad = good;
    bad[at + 2 + bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    this->process(good);
    ASSERT_EQ(verdict_name(this->process(bad).verdict), "reply_echo");
    EXPECT_NE(bad, good) << bit;
  }
}

TYPED_TEST(Icmp, EchoFollowsThePolicy) {
  this->use({.answer_echo = AnswerEcho::kWhileServing});
  EXPECT_EQ(verdict_name(this->ping()), "reply_echo");
  this->use({.answer_echo = AnswerEcho::kNever});
  EXPECT_EQ(verdict_name(this->ping()), "drop_icmp");
  for (auto& states : this->input_.backends) {
    for (BackendState& state : states) state.healthy = false;
  }
  this->use({.answer_echo = AnswerEcho::kWhileServing});
  EXPECT_EQ(verdict_name(this->ping()), "drop_icmp");
  this->use({.answer_echo = AnswerEcho::kAlways});
  EXPECT_EQ(verdict_name(this->ping()), "reply_echo");
  // One healthy backend of one service of the VIP is enough, and it must be of this VIP.
  const std::size_t first = TestFixture::kV4 ? 0 : kGoldenServices;
  this->input_.backends[first + kOther][0].healthy = true;
  this->use({.answer_echo = AnswerEcho::kWhileServing});
  EXPECT_EQ(verdict_name(this->ping()), "drop_icmp");
  this->input_.backends[first + kSpread][2].healthy = true;
  this->use({.answer_echo = AnswerEcho::kWhileServing});
  EXPECT_EQ(verdict_name(this->ping()), "reply_echo");
}

TYPED_TEST(Icmp, EchoIsLimited) {
  this->use({.echo_per_second = 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(verdict_name(this->ping()), "reply_echo");
  EXPECT_EQ(verdict_name(this->ping()), "drop_reply_limit");
  EXPECT_EQ(verdict_name(this->ping(334)), "reply_echo");
  EXPECT_EQ(verdict_name(this->ping(334)), "drop_reply_limit");
}

TYPED_TEST(Icmp, AnErrorGoesToTheBackendOfItsFlow) {
  for (std::uint16_t port = 1024; port < 2024; ++port) {
    Frame flow = eth().ip({.destination = this->kVip}).tcp({.source = port, .destination = 443});
    const std::uint16_t backend = this->process(flow).backend;
    const Frame answer =
        eth().ip({.source = this->kVip, .destination = this->kClient}).tcp({.source = 443, .destination = port});
    const std::size_t ip_bytes = TestFixture::kV4 ? 20 : 40;
    Frame error = eth()
                      .ip({.destination = this->kVip})
                      .icmp({.type = static_cast<std::uint8_t>(TestFixture::kV4 ? 3 : 2)})
                      .raw(std::span(answer).subspan(14, ip_bytes + 8));
    const Packet packet = this->process(error);
    ASSERT_EQ(verdict_name(packet.verdict), "forward");
    EXPECT_TRUE(packet.follows);
    EXPECT_EQ(packet.backend, backend) << port;
  }
}

// Also when the backend of the flow is not the one that the fragments' own headers would give.
TYPED_TEST(Icmp, LaterFragmentsGoToTheBackendOfTheFirst) {
  for (std::uint16_t port = 1024; port < 2024; ++port) {
    const auto fragment = [&](std::uint16_t offset, bool more) {
      IpFields fields{.destination = this->kVip};
      if (!TestFixture::kV4) return eth().ip(fields).fragment({offset, more, port});
      fields.protocol = 6;
      fields.identification = port;
      fields.fragment_offset = offset;
      fields.more_fragments = more;
      return eth().ip(fields);
    };
    Frame whole = eth().ip({.destination = this->kVip}).tcp({.source = port, .destination = 443});
    const std::uint16_t backend = this->process(whole).backend;
    Frame first = fragment(0, true).tcp({.source = port, .destination = 443}).payload(12);
    const Packet first_packet = this->process(first);
    EXPECT_EQ(first_packet.backend, backend);
    EXPECT_FALSE(first_packet.follows);
    for (const std::uint32_t after_ms : {0U, FragmentTable::kTimeoutMs, FragmentTable::kTimeoutMs + 1}) {
      Frame later = fragment(4, false).payload(40);
      const Packet packet = this->process(later, after_ms);
      if (after_ms > FragmentTable::kTimeoutMs) {
        EXPECT_EQ(verdict_name(packet.verdict), "drop_fragment_orphan");
      } else {
        EXPECT_EQ(packet.backend, backend) << port;
        EXPECT_TRUE(packet.follows);
      }
    }
  }
}

TYPED_TEST(Icmp, FragmentsAreDroppedOnRequest) {
  this->use({.fragments = FragmentPolicy::kDrop});
  IpFields fields{.destination = this->kVip};
  fields.more_fragments = TestFixture::kV4;
  PacketBuilder ip = eth().ip(fields);
  if (!TestFixture::kV4) ip.fragment({.more = true});
  Frame first = ip.tcp().payload(12);
  EXPECT_EQ(verdict_name(this->process(first).verdict), "drop_fragment");
}

}  // namespace
}  // namespace anypop::l4lb
