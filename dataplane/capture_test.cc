// SPDX-License-Identifier: Apache-2.0
#include "dataplane/capture.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kHz = 1'000'000;

dataplane_api::CaptureRequest everything() { return {.packets = 1'000'000, .per_second = 1'000'000}; }

std::shared_ptr<Capture> make(const dataplane_api::CaptureRequest& request, unsigned workers = 1) {
  auto capture = Capture::make(request, workers);
  EXPECT_TRUE(capture.ok()) << capture.status();
  return *capture;
}

struct Frame {
  explicit Frame(std::uint8_t fill, std::size_t bytes = 60) : data(bytes, std::byte{fill}) {
    packet.data = data.data();
    packet.length_bytes = static_cast<std::uint32_t>(bytes);
  }
  std::vector<std::byte> data;
  l4lb::Packet packet;
};

void pass(Capture& capture, Frame& frame, l4lb::Verdict verdict, std::uint64_t tsc = 1, unsigned worker = 0) {
  capture.before(worker, std::span(&frame.packet, 1));
  frame.data[0] = std::byte{0xff};  // the engine rewrites
  frame.packet.verdict = verdict;
  capture.after(worker, 3, std::span(&frame.packet, 1), tsc, kHz);
}

TEST(Capture, ShowsThePacketAsItCameWithItsVerdict) {
  const auto capture = make(everything());
  Frame frame(7);
  frame.packet.service = 2;
  pass(*capture, frame, l4lb::Verdict::kDropNoBackend, 42);
  const auto records = capture->take(10);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].bytes[0], std::byte{7});
  EXPECT_EQ(records[0].length_bytes, 60U);
  EXPECT_EQ(records[0].snap_bytes, 60U);
  EXPECT_EQ(records[0].tsc, 42U);
  EXPECT_EQ(records[0].port, 3U);
  EXPECT_EQ(records[0].service, 2U);
  EXPECT_EQ(records[0].verdict, l4lb::Verdict::kDropNoBackend);
  EXPECT_TRUE(capture->take(10).empty());
}

TEST(Capture, TakesOnlyWhatFilterAndVerdictsAccept) {
  auto request = everything();
  request.program = {0x30, 0, 0, 0, 0x15, 0, 1, 7, 6, 0, 0, 1, 6, 0, 0, 0};  // byte 0 is 7
  request.verdicts = {"forward"};
  const auto capture = make(request);
  Frame wanted(7);
  Frame other(8);
  pass(*capture, wanted, l4lb::Verdict::kForward);
  pass(*capture, other, l4lb::Verdict::kForward);
  Frame dropped(7);
  pass(*capture, dropped, l4lb::Verdict::kDropIcmp);
  EXPECT_EQ(capture->take(10).size(), 1U);
}

TEST(Capture, IsBoundedInBytesPacketsRateAndMemory) {
  auto request = everything();
  request.snap_bytes = 14;
  request.packets = 3;
  const auto few = make(request);
  for (int i = 0; i < 9; ++i) {
    Frame frame(1, 1500);
    pass(*few, frame, l4lb::Verdict::kForward);
  }
  const auto records = few->take(2);
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].snap_bytes, 14U);
  EXPECT_EQ(records[0].length_bytes, 1500U);
  EXPECT_FALSE(few->done());
  EXPECT_EQ(few->take(9).size(), 1U);
  EXPECT_TRUE(few->done());

  request = everything();
  request.per_second = 10;
  const auto slow = make(request);
  for (unsigned i = 0; i < 100; ++i) {
    Frame frame(1);
    pass(*slow, frame, l4lb::Verdict::kForward, kHz + i);
  }
  EXPECT_EQ(slow->take(1000).size(), 10U);
  EXPECT_EQ(slow->missed(), 90U);

  const auto full = make(everything());
  for (unsigned i = 0; i < kCaptureRecords + 5; ++i) {
    Frame frame(1);
    pass(*full, frame, l4lb::Verdict::kForward, 1 + i * kHz);
  }
  EXPECT_EQ(full->take(SIZE_MAX).size(), kCaptureRecords);
  EXPECT_EQ(full->missed(), 5U);
}

TEST(Capture, RefusesWhatIsNoFilterAndNoVerdict) {
  auto request = everything();
  request.program = {1, 2, 3};
  EXPECT_THAT(std::string(message(Capture::make(request, 1).status())), HasSubstr("found 3 numbers"));
  request.program = {5, 0, 0, 4000};  // jumps out of the program
  EXPECT_THAT(std::string(message(Capture::make(request, 1).status())), HasSubstr("tcpdump -ddd"));
  request.program = {};
  request.verdicts = {"nonsense"};
  EXPECT_THAT(std::string(message(Capture::make(request, 1).status())), HasSubstr("'nonsense'"));
  request = everything();
  request.packets = 0;
  EXPECT_FALSE(Capture::make(request, 1).ok());
}

TEST(Capture, WorkersWriteWhileTheControlThreadTakes) {
  const auto capture = make(everything(), 2);
  constexpr unsigned kEach = 20'000;
  std::atomic<unsigned> running = 2;
  std::vector<std::jthread> workers;
  for (unsigned worker = 0; worker < 2; ++worker) {
    workers.emplace_back([&, worker] {
      for (unsigned i = 0; i < kEach; ++i) {
        Frame frame(static_cast<std::uint8_t>(worker));
        pass(*capture, frame, l4lb::Verdict::kForward, (1 + i) * kHz, worker);
      }
      --running;
    });
  }
  std::size_t taken = 0;
  while (running > 0) taken += capture->take(100).size();
  taken += capture->take(SIZE_MAX).size();
  EXPECT_EQ(taken + capture->missed(), 2U * kEach);
}

}  // namespace
}  // namespace anypop::dataplane
