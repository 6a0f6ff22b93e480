// SPDX-License-Identifier: Apache-2.0
#include "base/atomic_file.h"

#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anypop {
namespace {

class AtomicFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "atomic_file_XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(AtomicFile, ReplacesAndLeavesNothingBeside) {
  const auto path = folder_ / "state";
  ASSERT_TRUE(write_file_atomically(path, "one").ok());
  ASSERT_TRUE(write_file_atomically(path, "two").ok());
  EXPECT_EQ(*read_file(path), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(AtomicFile, NamesThePathInErrors) {
  const auto missing = folder_ / "nowhere" / "state";
  const auto written = write_file_atomically(missing, "x");
  EXPECT_THAT(std::string(written.message()), testing::HasSubstr(missing.string()));
  EXPECT_EQ(read_file(missing).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(AtomicFile, RefusesAFileThatIsTooLarge) {
  const auto path = folder_ / "large";
  ASSERT_TRUE(write_file_atomically(path, std::string(kSmallFileMaxBytes + 1, 'x')).ok());
  EXPECT_EQ(read_file(path).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace anypop
