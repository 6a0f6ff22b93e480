// SPDX-License-Identifier: Apache-2.0
// The BPF program in the kernel (BPF_PROG_TEST_RUN) against the slow reference: frames by hand, and noise. Needs root.
#include <numeric>
#include <random>

#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "decap_program.h"
#include "decap_reference.h"

namespace anypop::backend {
namespace {

constexpr int kGoOn = -1;  // TC_ACT_UNSPEC
constexpr int kDrop = 2;   // TC_ACT_SHOT

constexpr std::string_view kOwn6 = "2001:db8:9::11";
constexpr std::string_view kBalancer6 = "2001:db8:f::7";
constexpr std::string_view kClient6 = "2001:db8:c::5";
constexpr std::string_view kVip6 = "2001:db8:53::1";

IpPrefix prefix(std::string_view text) { return *IpPrefix::parse(text); }

Wish everything() {
  Wish wish;
  wish.vips = {prefix("198.51.100.1/32"), prefix("203.0.113.128/25"), prefix("2001:db8:53::1/128"),
               prefix("2001:db8:54::/64")};
  wish.addresses = {*IpAddress::parse("10.9.0.11"), *IpAddress::parse(kOwn6)};
  wish.sources = {prefix("172.16.0.0/16"), prefix("2001:db8:f::/64")};
  wish.gue_ports = {6080, 6081};
  wish.ipip = wish.gre = wish.gue = true;
  return wish;
}

class Decap : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "loading a BPF program needs root";
    use(everything());
  }

  void use(const Wish& wish) {
    wish_ = wish;
    auto object = load_decap(wish);
    ASSERT_TRUE(object.ok()) << object.status();
    object_ = *std::move(object);
    counters_ = *read_counters(object_);
  }

  // The verdict, and what became of the frame.
  Outcome run(const Frame& frame) {
    Outcome outcome{DECAP_VERDICTS, Frame(frame.size() + 64)};
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = static_cast<std::uint32_t>(frame.size());
    options.data_out = outcome.frame.data();
    options.data_size_out = static_cast<std::uint32_t>(outcome.frame.size());
    EXPECT_EQ(bpf_prog_test_run_opts(program_fd(object_), &options), 0) << frame.size() << " bytes";
    outcome.frame.resize(options.data_size_out);
    const Counters now = *read_counters(object_);
    unsigned moved = 0;
    for (unsigned verdict = 0; verdict < DECAP_VERDICTS; ++verdict) {
      if (now[verdict] == counters_[verdict]) continue;
      outcome.verdict = verdict;
      ++moved;
    }
    EXPECT_EQ(moved, 1U) << "each packet has one verdict";
    counters_ = now;
    EXPECT_EQ(static_cast<int>(options.retval), outcome.verdict < DECAP_DROP_MALFORMED ? kGoOn : kDrop);
    return outcome;
  }

  // By hand what it must be, and what the reference says, which so is checked as well.
  void expect(unsigned verdict, const Frame& frame) {
    const Outcome got = run(frame);
    const Outcome reference = decapsulate(frame, wish_);
    EXPECT_EQ(got.verdict, verdict);
    EXPECT_EQ(reference.verdict, verdict);
    EXPECT_EQ(got.frame, reference.frame);
  }

  Wish wish_;
  BpfObject object_;
  Counters counters_{};
};

FrameSpec spec_of(Kind kind, bool outer_v6, bool inner_v6) {
  FrameSpec spec{.kind = kind};
  if (outer_v6) {
    spec.outer_source = kBalancer6;
    spec.outer_destination = kOwn6;
  }
  if (inner_v6) {
    spec.inner_source = kClient6;
    spec.inner_destination = kVip6;
  }
  return spec;
}

std::vector<FrameSpec> all_tunnels() {
  std::vector<FrameSpec> specs;
  for (const Kind kind : {Kind::kIpip, Kind::kGre, Kind::kGue}) {
    for (const bool outer_v6 : {false, true}) {
      for (const bool inner_v6 : {false, true}) specs.push_back(spec_of(kind, outer_v6, inner_v6));
    }
  }
  return specs;
}

unsigned decap_of(Kind kind) { return DECAP_IPIP + static_cast<unsigned>(kind); }
std::size_t outer_bytes(const FrameSpec& spec) { return spec.outer_source == kBalancer6 ? 40 : 20; }

TEST_F(Decap, EveryTunnelInEveryPairOfFamiliesIsTakenOff) {
  for (FrameSpec spec : all_tunnels()) {
    for (const std::size_t payload_bytes : {std::size_t{0}, std::size_t{20}, std::size_t{1400}}) {
      spec.payload_bytes = payload_bytes;
      SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(spec.kind) << " from " << spec.outer_source
                                      << " for " << spec.inner_destination);
      const Frame frame = to_frame(spec);
      expect(decap_of(spec.kind), frame);
      FrameSpec bare = spec;
      bare.kind = Kind::kPlain;
      EXPECT_EQ(run(frame).frame, to_frame(bare)) << "as if it had come without a tunnel";
    }
  }
}

TEST_F(Decap, PaddingBehindTheOuterPacketStaysBehindTheInner) {
  Frame frame = to_frame({.payload_bytes = 0});
  frame.resize(60);
  expect(DECAP_IPIP, frame);
}

TEST_F(Decap, OnlyOurAddressesVipsAndSources) {
  expect(DECAP_PASS_OTHER, to_frame({.outer_destination = "10.9.0.12"}));
  expect(DECAP_PASS_NOT_VIP, to_frame({.inner_destination = "198.51.100.2"}));
  expect(DECAP_PASS_NOT_VIP, to_frame({.inner_destination = "10.9.0.11"}));
  expect(DECAP_IPIP, to_frame({.inner_destination = "203.0.113.200"}));
  expect(DECAP_PASS_NOT_VIP, to_frame({.inner_destination = "203.0.113.100"}));
  expect(DECAP_DROP_SOURCE, to_frame({.outer_source = "172.17.0.7"}));
  expect(DECAP_DROP_SOURCE, to_frame({.kind = Kind::kGue, .outer_source = "192.0.2.1"}));
  FrameSpec stranger6 = spec_of(Kind::kGre, true, true);
  stranger6.outer_source = "2001:db8:e::7";
  expect(DECAP_DROP_SOURCE, to_frame(stranger6));
  expect(DECAP_PASS_OTHER, to_frame({.kind = Kind::kGue, .gue_port = 6082}));
  expect(DECAP_GUE, to_frame({.kind = Kind::kGue, .gue_port = 6081}));
  expect(DECAP_PASS_OTHER, to_frame({.kind = Kind::kPlain}));
}

TEST_F(Decap, OnlyWhatIsConfigured) {
  for (const FrameSpec& spec : all_tunnels()) {
    Wish wish = everything();
    (spec.kind == Kind::kIpip ? wish.ipip : spec.kind == Kind::kGre ? wish.gre : wish.gue) = false;
    use(wish);
    expect(DECAP_PASS_OTHER, to_frame(spec));
  }
  Wish open = everything();
  open.sources.clear();
  use(open);
  expect(DECAP_IPIP, to_frame({.outer_source = "192.0.2.1"}));
}

TEST_F(Decap, OneLayerOnly) {
  // IP in IP in IP: the packet inside is for the VIP and a tunnel itself.
  Frame inner = to_frame({.outer_destination = "198.51.100.1"});
  Frame frame = to_frame({.payload_bytes = inner.size() - 14});
  std::copy(inner.begin() + 14, inner.end(), frame.begin() + 14 + 20 + 20);
  frame[14 + 20 + 9] = 4;
  set_checksum(frame, 14 + 20);
  expect(DECAP_IPIP, frame);
}

TEST_F(Decap, ForAnotherHostOnTheLink) {
  Frame frame = to_frame({});
  frame[5] = 9;
  expect(DECAP_PASS_OTHER, frame);
}

TEST_F(Decap, CongestionMarksGoIn) {
  for (FrameSpec spec : all_tunnels()) {
    for (unsigned outer = 0; outer < 4; ++outer) {
      for (unsigned inner = 0; inner < 4; ++inner) {
        spec.outer_class = static_cast<std::uint8_t>(0xb8U | outer);
        spec.inner_class = static_cast<std::uint8_t>(0x28U | inner);
        expect(outer == 3 && inner == 0 ? unsigned{DECAP_DROP_CONGESTED} : decap_of(spec.kind), to_frame(spec));
      }
    }
  }
}

TEST_F(Decap, FragmentsAndOptionsAreTheKernels) {
  Frame first = to_frame({});
  first[14 + 6] = 0x20;  // more fragments
  set_checksum(first, 14);
  expect(DECAP_PASS_FRAGMENT, first);
  Frame later = to_frame({.kind = Kind::kGue});
  later[14 + 7] = 9;
  set_checksum(later, 14);
  expect(DECAP_PASS_FRAGMENT, later);

  Frame options = to_frame({});
  options.insert(options.begin() + 14 + 20, 4, 1);
  options[14] = 0x46;
  options[14 + 3] = static_cast<std::uint8_t>(options[14 + 3] + 4);
  set_checksum(options, 14);
  expect(DECAP_PASS_UNSUPPORTED, options);

  for (const auto& [next_header, verdict] : std::vector<std::pair<std::uint8_t, unsigned>>{{44, DECAP_PASS_FRAGMENT},
                                                                                           {0, DECAP_PASS_UNSUPPORTED},
                                                                                           {60, DECAP_PASS_UNSUPPORTED},
                                                                                           {43, DECAP_PASS_UNSUPPORTED},
                                                                                           {59, DECAP_PASS_OTHER}}) {
    Frame frame = to_frame(spec_of(Kind::kIpip, true, true));
    frame[14 + 6] = next_header;
    expect(verdict, frame);
  }
}

TEST_F(Decap, OptionsOfTheTunnelAreTheKernels) {
  const std::size_t shim = 14 + 20;
  Frame gre = to_frame({.kind = Kind::kGre});
  gre[shim] = 0x80;  // a checksum follows
  expect(DECAP_PASS_UNSUPPORTED, gre);
  gre[shim] = 0;
  gre[shim + 1] = 1;  // version 1, PPTP
  expect(DECAP_PASS_UNSUPPORTED, gre);
  gre[shim + 1] = 0;
  gre[shim + 2] = 0x65;  // not IP
  expect(DECAP_PASS_UNSUPPORTED, gre);
  for (const std::size_t at : {8U, 10U, 11U}) {  // variant, control bit and length; flags
    Frame gue = to_frame({.kind = Kind::kGue});
    gue[shim + at] = 1;
    expect(DECAP_PASS_UNSUPPORTED, gue);
  }
  Frame gue = to_frame({.kind = Kind::kGue});
  gue[shim + 9] = 6;
  expect(DECAP_PASS_UNSUPPORTED, gue);
}

TEST_F(Decap, LengthsThatContradictEachOther) {
  for (const FrameSpec& spec : all_tunnels()) {
    const bool outer_v6 = spec.outer_source == kBalancer6;
    const bool inner_v6 = spec.inner_source == kClient6;
    const std::size_t shim_bytes = spec.kind == Kind::kGre ? 4 : (spec.kind == Kind::kGue ? 12 : 0);
    const std::size_t inner_at = 14 + outer_bytes(spec) + shim_bytes;
    Frame longer = to_frame(spec);  // the inner packet claims a byte more than the outer one has
    ++longer[inner_at + (inner_v6 ? 5 : 3)];
    longer.resize(longer.size() + 10);
    expect(DECAP_DROP_MALFORMED, longer);
    Frame outside = to_frame(spec);  // the outer one claims more than the frame has
    outside[14 + (outer_v6 ? 4 : 2)] = 0x20;
    if (!outer_v6) set_checksum(outside, 14);
    expect(DECAP_DROP_MALFORMED, outside);
    Frame other_family = to_frame(spec);
    other_family[inner_at] ^= 0x20;
    expect(DECAP_DROP_MALFORMED, other_family);
    if (spec.kind == Kind::kGue) {
      Frame udp = to_frame(spec);
      ++udp[14 + outer_bytes(spec) + 5];
      udp.resize(udp.size() + 10);
      expect(DECAP_DROP_MALFORMED, udp);
      udp[14 + outer_bytes(spec) + 5] = 11;
      expect(DECAP_DROP_MALFORMED, udp);
    }
  }
  Frame checksum = to_frame({});
  ++checksum[14 + 10];
  expect(DECAP_DROP_MALFORMED, checksum);
}

TEST_F(Decap, EveryTruncation) {
  for (const FrameSpec& spec : all_tunnels()) {
    const Frame whole = to_frame(spec);
    for (std::size_t size = 14 + 40; size < whole.size(); ++size) {
      Frame cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const Outcome got = run(cut);
      EXPECT_EQ(got.verdict, decapsulate(cut, wish_).verdict) << size;
      EXPECT_TRUE(got.verdict < DECAP_IPIP || got.verdict > DECAP_GUE) << size;
    }
  }
}

// Noise on good frames: what the program says and makes is what the reference says and makes.
TEST_F(Decap, NoiseIsJudgedAsByTheReference) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const std::vector<FrameSpec> specs = all_tunnels();
  std::array<unsigned, DECAP_VERDICTS> seen{};
  for (int round = 0; round < 30'000 && !HasFailure(); ++round) {
    FrameSpec spec = specs[random() % specs.size()];
    spec.payload_bytes = random() % 64;
    Frame frame = to_frame(spec);
    const std::size_t headers = std::min<std::size_t>(frame.size(), 14 + 40 + 12 + 40);
    for (auto changes = random() % 4; changes > 0; --changes) {
      const std::size_t at = 12 + random() % (headers - 12);
      frame[at] = random() % 2 == 0 ? static_cast<std::uint8_t>(random())
                                    : static_cast<std::uint8_t>(frame[at] ^ (1U << random() % 8));
    }
    if (random() % 4 == 0) frame.resize(std::max<std::size_t>(14 + 40, random() % (frame.size() + 20)));
    // A wrong outer checksum hides everything behind it.
    if (frame[12] == 0x08 && (frame[14] & 15U) == 5 && random() % 8 != 0) set_checksum(frame, 14);
    const Outcome got = run(frame);
    const Outcome reference = decapsulate(frame, wish_);
    EXPECT_EQ(got.verdict, reference.verdict) << testing::PrintToString(frame);
    EXPECT_EQ(got.frame, reference.frame) << testing::PrintToString(frame);
    ++seen[got.verdict];
  }
  for (unsigned verdict = 0; verdict < DECAP_DROP_CONGESTED; ++verdict) EXPECT_GT(seen[verdict], 10U) << verdict;
}

}  // namespace
}  // namespace anypop::backend
