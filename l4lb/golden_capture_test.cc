// SPDX-License-Identifier: Apache-2.0
// Captures for scapy_test.py: what goes in, what leaves, and the verdict of each packet that leaves; the golden rows
// and random flows into every tunnel. Without ANYPOP_CAPTURE_DIR it only checks that all of them leave.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "golden_rows.h"
#include "l4lb/pipeline.h"
#include "l4lb_testing/packets.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;

// Capture files of the classic format (draft-ietf-opsawg-pcap), in this machine's byte order.
class Capture {
 public:
  explicit Capture(const std::filesystem::path& path) : file_(path, std::ios::binary) {
    constexpr std::uint32_t kMagic = 0xa1b2c3d4;
    constexpr std::uint32_t kVersion2_4 = 0x00040002;
    constexpr std::uint32_t kEthernet = 1;
    for (const std::uint32_t word : {kMagic, kVersion2_4, 0U, 0U, 65535U, kEthernet}) put(word);
  }
  void add(const Frame& frame) {
    const auto bytes = static_cast<std::uint32_t>(frame.size());
    for (const std::uint32_t word : {0U, 0U, bytes, bytes}) put(word);
    file_.write(reinterpret_cast<const char*>(frame.data()), static_cast<std::streamsize>(frame.size()));
  }

 private:
  void put(std::uint32_t word) { file_.write(reinterpret_cast<const char*>(&word), sizeof(word)); }
  std::ofstream file_;
};

std::vector<Frame> random_flows_into_tunnels() {
  std::vector<Frame> frames;
  std::mt19937 random(1);
  for (const char* vip : {"198.51.100.1", "2001:db8:53::1"}) {
    for (unsigned service = kIpip4; service <= kSmallMtu; ++service) {
      for (int i = 0; i < 60; ++i) {
        l4lb_testing::IpFields fields{.destination = vip};
        fields.traffic_class = static_cast<std::uint8_t>(random());
        frames.push_back(eth()
                             .ip(fields)
                             .tcp({.source = static_cast<std::uint16_t>(random()),
                                   .destination = static_cast<std::uint16_t>(4000 + service - kIpip4)})
                             .payload(random() % 1200));
      }
    }
  }
  return frames;
}

TEST(GoldenCaptures, AreWrittenForScapy) {
  std::vector<Frame> inputs = random_flows_into_tunnels();
  const std::size_t flows = inputs.size();
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (const GoldenRow& row : golden_rows(family)) {
      if (leaves(row.verdict) && row.before.empty()) inputs.push_back(row.input);
    }
  }
  const std::vector<ServiceConfig> services = golden_services();
  const auto snapshot = SnapshotBuilder(services, kGoldenKey, golden_engine()).build(golden_input());
  WorkerState state(golden_engine());
  Counters counters(services);
  l4lb_testing::Burst burst(inputs);
  process_burst(*snapshot, burst.packets(), 0, state, counters);

  const char* folder = std::getenv("ANYPOP_CAPTURE_DIR");
  const std::filesystem::path path = folder == nullptr ? "/dev/null" : folder;
  Capture in(folder == nullptr ? path : path / "in.pcap");
  Capture out(folder == nullptr ? path : path / "out.pcap");
  std::ofstream verdicts(folder == nullptr ? path : path / "verdicts.txt");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_TRUE(leaves(burst[i].verdict)) << i << " of " << flows << " flows: " << verdict_name(burst[i].verdict);
    in.add(inputs[i]);
    out.add(burst.frame(i));
    verdicts << verdict_name(burst[i].verdict) << '\n';
  }
}

}  // namespace
}  // namespace anypop::l4lb
