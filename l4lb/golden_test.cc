// SPDX-License-Identifier: Apache-2.0
// Each row of the golden table: alone, and all of them mixed in bursts of several sizes.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "flow.h"
#include "golden_rows.h"
#include "l4lb/header_bytes.h"
#include "l4lb/pipeline.h"
#include "l4lb_testing/fuzz_input.h"
#include "l4lb_testing/packets.h"
#include "parse.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::append_frame;
using l4lb_testing::Frame;
using l4lb_testing::hex;

// With a row for each packet that comes before another, as an example of nothing.
std::vector<GoldenRow> in_sequence(std::vector<GoldenRow> rows) {
  std::vector<GoldenRow> all;
  for (GoldenRow& row : rows) {
    for (const Frame& frame : row.before) all.push_back({"", frame, Verdict::kForward});
    all.push_back(std::move(row));
  }
  return all;
}

template <class F>
class Golden : public testing::Test {
 public:
  static constexpr std::size_t kFirst = F::kFamily == Family::kV4 ? 0 : kGoldenServices;  // service of this family

  const std::vector<ServiceConfig> services_ = golden_services();
  const std::shared_ptr<const Snapshot> snapshot_ =
      SnapshotBuilder(services_, kGoldenKey, golden_engine()).build(golden_input());
  const std::vector<GoldenRow> rows_ = golden_rows(F::kFamily);
};
using Families = testing::Types<V4, V6>;
TYPED_TEST_SUITE(Golden, Families);

TYPED_TEST(Golden, EachRowAlone) {
  for (const GoldenRow& row : this->rows_) {
    SCOPED_TRACE(row.name);
    l4lb_testing::Burst burst({&row.input, 1});
    // Workers reuse their packets: what the last one left behind must not show through.
    Packet& packet = burst[0];
    packet.service = 3;
    packet.backend = 4;
    packet.ip_offset = 5;
    packet.chosen_by = ChosenBy::kRecord;
    WorkerState state(golden_engine());
    l4lb_testing::Burst before(row.before);
    Counters uncounted(this->services_);
    process_burst(*this->snapshot_, before.packets(), 0, state, uncounted);
    Counters counters(this->services_);
    process_burst(*this->snapshot_, burst.packets(), 0, state, counters);
    const Frame frame = burst.frame(0);

    EXPECT_EQ(verdict_name(packet.verdict), verdict_name(row.verdict));
    EXPECT_EQ(packet.service, row.service ? this->kFirst + *row.service : kNone);
    EXPECT_EQ(packet.backend, row.service && row.verdict != Verdict::kDropNoBackend ? row.backend : kNone);
    EXPECT_EQ(packet.chosen_by == ChosenBy::kConnectionId, row.by_connection_id);
    EXPECT_EQ(frame, row.output.value_or(row.input)) << hex(frame) << "\nexpected\n"
                                                     << hex(row.output.value_or(row.input));
    for (const VerdictInfo& info : kVerdicts) {
      EXPECT_EQ(counters.verdict(info.verdict), info.verdict == row.verdict ? 1 : 0) << info.name;
    }
    const bool forwarded = row.verdict == Verdict::kForward;
    ASSERT_EQ(leaves(row.verdict), row.output.has_value());
    for (std::size_t service = 0; service < this->services_.size(); ++service) {
      for (std::size_t backend = 0; backend < this->services_[service].backends.size(); ++backend) {
        const bool here = forwarded && service == packet.service && backend == packet.backend;
        EXPECT_EQ(counters.backend(service, backend).packets, here ? 1 : 0);
        EXPECT_EQ(counters.backend(service, backend).bytes, here ? row.output->size() : 0);
      }
    }
  }
}

// A packet of which a capture holds the first bytes. `rest`: what stands for the others; `state`: after row.before.
template <class F>
void expect_same_if_cut(const Golden<F>& golden, const GoldenRow& row, std::size_t held, std::byte rest,
                        WorkerState& state) {
  Frame input = row.input;
  std::fill(input.begin() + static_cast<std::ptrdiff_t>(held), input.end(), rest);
  if (held < header_bytes(*golden.snapshot_, row.input)) {
    EXPECT_GT(header_bytes(*golden.snapshot_, input), held) << held << " bytes say that they are all of the headers";
    return;
  }
  EXPECT_LE(header_bytes(*golden.snapshot_, input), held);
  l4lb_testing::Burst burst({&input, 1});
  Counters counters(golden.services_);
  process_burst(*golden.snapshot_, burst.packets(), 0, state, counters);
  EXPECT_EQ(verdict_name(burst[0].verdict), verdict_name(row.verdict));
  EXPECT_EQ(burst[0].chosen_by == ChosenBy::kConnectionId, row.by_connection_id);
  EXPECT_EQ(burst[0].backend, row.service && row.verdict != Verdict::kDropNoBackend ? row.backend : kNone);
}

TYPED_TEST(Golden, WhatLiesBehindTheHeadersDoesNotMatter) {
  for (const GoldenRow& row : this->rows_) {
    WorkerState state(golden_engine());
    Counters uncounted(this->services_);
    l4lb_testing::Burst before(row.before);
    process_burst(*this->snapshot_, before.packets(), 0, state, uncounted);
    for (std::size_t held = sizeof(wire::Ethernet); held <= row.input.size(); ++held) {
      SCOPED_TRACE(row.name + ", " + std::to_string(held) + " bytes");
      for (const std::byte rest : {std::byte{0}, std::byte{0xf7}}) expect_same_if_cut(*this, row, held, rest, state);
      if (this->HasFailure()) break;
    }
  }
}

// A new row becomes a seed of the fuzzers by running this test once with ANYPOP_WRITE_CORPUS=1.
void expect_seed(const std::string& folder, std::string name, const std::string& seed) {
  std::ranges::replace_if(
      name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '-');
  const std::filesystem::path path = std::filesystem::path(ANYPOP_CORPUS_DIR) / folder / name;
  if (std::getenv("ANYPOP_WRITE_CORPUS") != nullptr) std::ofstream(path, std::ios::binary) << seed;
  std::ifstream file(path, std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), seed) << path;
}

TYPED_TEST(Golden, EachRowIsASeedOfTheFuzzers) {
  for (const GoldenRow& row : this->rows_) {
    std::string seed;
    for (const Frame& frame : row.before) append_frame(frame, seed);
    append_frame(row.input, seed);
    expect_seed("", (this->kFirst == 0 ? "v4 " : "v6 ") + row.name, seed);
    if (row.service != kQuic || this->kFirst != 0) continue;
    // Behind what configures the service of quic_fuzz.cc: server IDs of two bytes, all alive.
    const auto datagram = udp_payload<TypeParam>(row.input, 14);
    seed = std::string("\x15\x15\0", 3);
    seed.append(reinterpret_cast<const char*>(datagram.data()), datagram.size());
    expect_seed("../fuzz_corpus_quic", row.name, seed);
  }
}

// Both families, every verdict, all burst sizes that divide the table differently: neighbours do not disturb each
// other, and the counters of many bursts add up.
TEST(GoldenBursts, RowsMixedInBurstsOfAnySize) {
  const std::vector<ServiceConfig> services = golden_services();
  const auto snapshot = SnapshotBuilder(services, kGoldenKey, golden_engine()).build(golden_input());
  std::vector<GoldenRow> rows;
  const std::vector<GoldenRow> v4 = in_sequence(golden_rows(Family::kV4));
  const std::vector<GoldenRow> v6 = in_sequence(golden_rows(Family::kV6));
  for (std::size_t i = 0; i < std::max(v4.size(), v6.size()); ++i) {
    if (i < v4.size()) rows.push_back(v4[i]);
    if (i < v6.size()) rows.push_back(v6[i]);
  }
  for (const std::size_t burst :
       {std::size_t{1}, std::size_t{2}, std::size_t{7}, kBurstMax, kBurstMax + 1, rows.size()}) {
    SCOPED_TRACE(burst);
    std::vector<Frame> inputs(rows.size());
    std::ranges::transform(rows, inputs.begin(), &GoldenRow::input);
    l4lb_testing::Burst all(inputs);
    const std::span<Packet> packets = all.packets();
    WorkerState state(golden_engine());
    Counters counters(services);
    for (std::size_t at = 0; at < packets.size(); at += burst) {
      process_burst(*snapshot, packets.subspan(at, std::min(burst, packets.size() - at)), 0, state, counters);
    }
    std::array<std::uint64_t, kVerdictCount> expected{};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ++expected[static_cast<std::size_t>(rows[i].name.empty() ? packets[i].verdict : rows[i].verdict)];
      if (rows[i].name.empty()) continue;
      EXPECT_EQ(verdict_name(packets[i].verdict), verdict_name(rows[i].verdict)) << rows[i].name;
      EXPECT_EQ(all.frame(i), rows[i].output.value_or(rows[i].input)) << rows[i].name;
    }
    for (const VerdictInfo& info : kVerdicts) {
      EXPECT_EQ(counters.verdict(info.verdict), expected[static_cast<std::size_t>(info.verdict)]) << info.name;
      // These depend on more than the packet; pipeline_test.cc and probe_path_test.cc have them.
      if (info.verdict == Verdict::kDropReplyLimit || info.verdict == Verdict::kDropNoHeadroom) continue;
      if (info.verdict == Verdict::kForwardProbe || info.verdict == Verdict::kDropProbeUnknown) continue;
      EXPECT_GT(counters.verdict(info.verdict), 0) << info.name << " has no golden packet";
    }
  }
}

}  // namespace
}  // namespace anypop::l4lb
