// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/event_reader.h"

#include <atomic>
#include <fstream>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>

#include "base/text.h"
#include "bgpctl/event_log.h"
#include "test_pop.h"

namespace anypop::bgpctl {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Begin = EventReader::Begin;

class EventReaderFile : public TestPop {
 protected:
  void SetUp() override {
    TestPop::SetUp();
    std::filesystem::create_directories(config_.state_dir);
    path_ = config_.event_log();
  }
  void write(std::string_view text) { std::ofstream(path_, std::ios::app) << text; }
  // As logrotate does it: nothing moves when there is nothing to rotate.
  void rotate() {
    if (!std::filesystem::exists(path_)) return;
    for (int number = 8; number-- > 0;) {
      const auto from = number == 0 ? path_.string() : fmt::format("{}.{}", path_.string(), number);
      if (std::filesystem::exists(from))
        std::filesystem::rename(from, fmt::format("{}.{}", path_.string(), number + 1));
    }
  }
  static std::vector<std::string> read(EventReader& reader) {
    std::vector<std::string> lines;
    const absl::Status status = reader.read([&](std::string_view line) { lines.emplace_back(line); });
    EXPECT_TRUE(status.ok()) << status;
    return lines;
  }
  std::filesystem::path path_;
};

TEST_F(EventReaderFile, GivesEachCompleteLineOnce) {
  EventReader reader(path_, Begin::kOldest);
  EXPECT_THAT(read(reader), IsEmpty()) << "there is no file yet";
  write("a\nb");
  EXPECT_THAT(read(reader), ElementsAre("a"));
  EXPECT_THAT(read(reader), IsEmpty());
  write("b\n\nc\n");
  EXPECT_THAT(read(reader), ElementsAre("bb", "c"));
}

TEST_F(EventReaderFile, BeginsWithTheOldestRotatedFile) {
  for (const char* line : {"1\n", "2\n", "3\n"}) {
    write(line);
    rotate();
  }
  write("4\n");
  EventReader reader(path_, Begin::kOldest);
  EXPECT_THAT(read(reader), ElementsAre("1", "2", "3", "4"));
  EventReader end(path_, Begin::kEnd);
  EXPECT_THAT(read(end), IsEmpty());
  write("5\n");
  EXPECT_THAT(read(end), ElementsAre("5"));
}

TEST_F(EventReaderFile, ReadsOnThroughRotations) {
  write("1\n");
  EventReader reader(path_, Begin::kOldest);
  EXPECT_THAT(read(reader), ElementsAre("1"));
  write("2\n");
  rotate();
  EXPECT_THAT(read(reader), ElementsAre("2")) << "before the new file is there";
  write("3\n");
  EXPECT_THAT(read(reader), ElementsAre("3"));
  write("4\n");
  for (const char* line : {"5\n", "6\n"}) {
    rotate();
    write(line);
  }
  EXPECT_THAT(read(reader), ElementsAre("4", "5", "6")) << "three files since the last look";
}

TEST_F(EventReaderFile, AFileThatBeginsAndIsRotatedBetweenTwoLooksIsRead) {
  EventReader reader(path_, Begin::kOldest);
  EXPECT_THAT(read(reader), IsEmpty()) << "there is no file yet";
  for (const char* line : {"1\n", "2\n"}) {
    write(line);
    rotate();
  }
  EXPECT_THAT(read(reader), ElementsAre("1", "2")) << "before the next one is there";
  write("3\n");
  EXPECT_THAT(read(reader), ElementsAre("3"));
}

TEST_F(EventReaderFile, WhatWasRotatedBeforeTheFirstLookIsGivenOnce) {
  write("1\n");
  rotate();
  EventReader oldest(path_, Begin::kOldest);
  EventReader end(path_, Begin::kEnd);
  EXPECT_THAT(read(oldest), ElementsAre("1")) << "while there is no newer file";
  EXPECT_THAT(read(end), IsEmpty());
  write("2\n");
  rotate();
  write("3\n");
  EXPECT_THAT(read(oldest), ElementsAre("2", "3"));
  EXPECT_THAT(read(end), ElementsAre("2", "3"));
}

TEST_F(EventReaderFile, MoreRotationsThanAreKeptLoseOnlyWhatWasDeleted) {
  write("1\n");
  EventReader reader(path_, Begin::kOldest);
  EXPECT_THAT(read(reader), ElementsAre("1"));
  for (const char* line : {"2\n", "3\n", "4\n"}) {
    rotate();
    write(line);
  }
  for (const char* oldest : {".3", ".2"}) std::filesystem::remove(path_.string() + oldest);
  EXPECT_THAT(read(reader), ElementsAre("3", "4"));
}

TEST_F(EventReaderFile, ADeletedFileDoesNotBringBackTheOlderOnes) {
  write("1\n");
  rotate();
  write("2\n");
  EventReader reader(path_, Begin::kOldest);
  EXPECT_THAT(read(reader), ElementsAre("1", "2"));
  std::filesystem::remove(path_);
  write("3\n");
  EXPECT_THAT(read(reader), ElementsAre("3"));
}

TEST_F(EventReaderFile, AWriterThatStillHasTheOldFileIsHeard) {
  write("1\n");
  EventReader reader(path_, Begin::kOldest);
  read(reader);
  std::ofstream late(path_, std::ios::app);
  rotate();
  write("2\n");
  EXPECT_THAT(read(reader), ElementsAre("2"));
  late << "late\n" << std::flush;
  EXPECT_THAT(read(reader), ElementsAre("late"));
}

TEST_F(EventReaderFile, TruncatedInPlaceItBeginsAnew) {
  write("1\n2\n");
  EventReader reader(path_, Begin::kOldest);
  read(reader);
  std::filesystem::resize_file(path_, 0);
  write("3\n");
  EXPECT_THAT(read(reader), ElementsAre("3"));
}

TEST_F(EventReaderFile, PassesOverWhatIsTooLongAndBeginsTheTailWithAWholeLine) {
  write("a\n" + std::string(EventReader::kLineMaxBytes + 1, 'x'));
  write("x\nb\n");
  EventReader reader(path_, Begin::kOldest);
  EXPECT_THAT(read(reader), ElementsAre("a", "b"));
  const std::string line(1000, 'y');
  for (int i = 0; i < 600; ++i) write(line + "\n");
  EventReader tail(path_, Begin::kTail);
  const auto lines = read(tail);
  EXPECT_EQ(lines.size(), (256U << 10U) / 1001);
  for (const std::string& got : lines) ASSERT_EQ(got, line);
}

TEST_F(EventReaderFile, LosesNothingWhileWritersWriteAndTheLogIsRotated) {
  constexpr int kEach = 300;
  EventReader reader(path_, Begin::kOldest);
  std::atomic<int> running = 3;
  std::mutex between;  // a writer that opened the file two rotations ago is not what this is about
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&] {
      const EventLog log(path_, "bgpctl");
      for (int i = 0; i < kEach; ++i) {
        const std::lock_guard lock(between);
        EXPECT_TRUE(log.append({{"event", "x"}}).ok());
      }
      --running;
    });
  }
  std::size_t lines = 0;
  int rounds = 0;
  while (running > 0) {
    lines += read(reader).size();
    const std::lock_guard lock(between);
    if (++rounds % 5 == 0) rotate();
  }
  for (std::thread& writer : writers) writer.join();
  lines += read(reader).size();
  lines += read(reader).size();
  EXPECT_EQ(lines, 3U * kEach);
}

TEST_F(EventReaderFile, ErrorsNameThePath) {
  std::filesystem::create_directory(path_);
  EventReader reader(path_, Begin::kOldest);
  const absl::Status status = reader.read([](std::string_view) {});
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(path_.string()));
}

}  // namespace
}  // namespace anypop::bgpctl
