// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_file.h"

#include <csignal>
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kRecords = 4096;
constexpr std::uint64_t kEpoch = 7;
constexpr std::uint64_t kNowMs = 1'000'000;
constexpr std::uint16_t kNow = kNowMs >> 10U;

std::uint64_t key(std::uint64_t number) { return number * 0x9e3779b97f4a7c15ULL; }

class FlowFiles : public testing::Test {
 protected:
  FlowFiles() {
    std::string name = testing::TempDir() + "flows_XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~FlowFiles() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path path() const { return folder_ / "flows.0"; }
  std::string refusal(std::uint64_t epoch = kEpoch, std::uint64_t now_ms = kNowMs) const {
    const auto file = FlowFile::open(path(), epoch, now_ms);
    return file.ok() ? "" : std::string(message(file.status()));
  }
  void overwrite(std::size_t at, std::string_view bytes) const {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file << bytes;
  }

  std::filesystem::path folder_;
};

// A process that is killed while it writes records as fast as it can.
TEST_F(FlowFiles, WhatAKilledProcessWroteIsThere) {
  ASSERT_TRUE(FlowFile::create(path(), kRecords, kEpoch, kNowMs).ok());
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto file = FlowFile::open(path(), kEpoch, kNowMs);
    for (std::uint64_t number = 1;; ++number) {
      file.value()->table().insert(key(number),
                                   {.backend_id = static_cast<std::uint16_t>(number), .expires = kNow + 100}, kNow);
      if (number == 1000 && ::write(pipe[1], "x", 1) != 1) ::_exit(1);
      if (number % 1000 == 0) file.value()->table().sweep(static_cast<std::uint16_t>(number));
    }
  }
  char ready = 0;
  ASSERT_EQ(::read(pipe[0], &ready, 1), 1);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ::waitpid(child, nullptr, 0);
  ::close(pipe[0]);
  ::close(pipe[1]);
  const auto file = FlowFile::open(path(), kEpoch, kNowMs);
  ASSERT_TRUE(file.ok()) << file.status();
  l4lb::FlowTable& table = (*file)->table();
  std::size_t found = 0;
  for (std::uint64_t number = 1; number <= 100'000'000 && found < 100; ++number) {
    const auto record = table.find(key(number), kNow);
    if (!record) continue;
    ++found;
    EXPECT_TRUE(table.may_hold(key(number)));
    table.erase(key(number), record);
    EXPECT_FALSE(table.find(key(number), kNow));
  }
  EXPECT_EQ(found, 100);
}

TEST_F(FlowFiles, ForeignAndDamagedOnesAreRefused) {
  EXPECT_TRUE(absl::IsNotFound(FlowFile::open(path(), kEpoch, kNowMs).status()));
  const auto fresh = [&] { ASSERT_TRUE(FlowFile::create(path(), kRecords, kEpoch, kNowMs).ok()); };
  fresh();
  EXPECT_EQ(refusal(), "");
  EXPECT_THAT(refusal(8), HasSubstr("flows.0: found epoch 7, expected 8"));
  EXPECT_EQ(refusal(kEpoch, kNowMs + FlowFile::kAgeMaxMs), "");
  fresh();
  EXPECT_THAT(refusal(kEpoch, kNowMs + FlowFile::kAgeMaxMs + 1), HasSubstr("found last use at 1000000"));
  EXPECT_THAT(refusal(kEpoch, kNowMs - 1), HasSubstr("last use at")) << "from the future";
  std::filesystem::resize_file(path(), 5000);
  EXPECT_THAT(refusal(), HasSubstr("found bytes 5000"));
  std::filesystem::resize_file(path(), 3);
  EXPECT_THAT(refusal(), HasSubstr("something else"));
  fresh();
  overwrite(12, std::string("\xff\xff\xff\xff", 4));
  EXPECT_THAT(refusal(), HasSubstr("found records 4294967295"));
  fresh();
  overwrite(8, "\x02");
  EXPECT_THAT(refusal(), HasSubstr("found version 2, expected 1"));
  fresh();
  overwrite(4096, "x");
  EXPECT_THAT(refusal(), HasSubstr("another layout"));
  std::filesystem::remove(path());
  std::filesystem::create_symlink("/etc/passwd", path());
  EXPECT_NE(refusal(), "") << "a link";
  std::filesystem::remove(path());
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  EXPECT_THAT(refusal(), HasSubstr("no plain file")) << "and it does not wait for a writer";
}

TEST_F(FlowFiles, RecordsMayBeAnything) {
  ASSERT_TRUE(FlowFile::create(path(), kRecords, kEpoch, kNowMs).ok());
  std::mt19937_64 random(1);
  std::string noise(l4lb::FlowTable::bytes_for(kRecords) - 64, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  overwrite(4096 + 64, noise);
  const auto file = FlowFile::open(path(), kEpoch, kNowMs);
  ASSERT_TRUE(file.ok()) << file.status();
  // At three times, because at any one the clock takes half of all times for past.
  for (unsigned unit = 0; unit < 600; ++unit) {
    for (unsigned i = 0; i < 100; ++i) (*file)->table().sweep(static_cast<std::uint16_t>(unit / 200 * 20'000 + unit));
  }
  EXPECT_TRUE((*file)->table().empty()) << "all have expired, at one time or the other";
}

TEST_F(FlowFiles, NoMemoryIsAnErrorAndLeavesNothing) {
  const std::filesystem::path full = folder_ / "full";
  std::filesystem::create_directory(full);
  if (::mount("none", full.c_str(), "tmpfs", 0, "size=64k") != 0) GTEST_SKIP() << "needs root, to mount a small tmpfs";
  const auto file = FlowFile::create(full / "flows.0", 1U << 20U, kEpoch, kNowMs);
  EXPECT_EQ(file.status().code(), absl::StatusCode::kResourceExhausted) << file.status();
  EXPECT_FALSE(std::filesystem::exists(full / "flows.0"));
  ::umount(full.c_str());
}

}  // namespace
}  // namespace anypop::dataplane
