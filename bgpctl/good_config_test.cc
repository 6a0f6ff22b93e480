// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/good_config.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_replace.h>
#include <gmock/gmock.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "test_pop.h"

namespace anypop::bgpctl {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class KeptConfig : public TestPop {
 protected:
  void SetUp() override {
    TestPop::SetUp();
    file_ = folder_ / "pop.yaml";
    text_ = *read_file(ANYPOP_EXAMPLE_CONFIG) + fmt::format("\nstate_dir: {}  # ours\n", config_.state_dir.string());
    write(text_);
    const auto loaded = load_config(file_);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    config_ = *loaded;
  }
  void write(const std::string& text) const { ASSERT_TRUE(write_file_atomically(file_, text).ok()); }
  void keep() const {
    const absl::Status kept = keep_good_config(config_);
    ASSERT_TRUE(kept.ok()) << kept;
  }

  std::filesystem::path file_;
  std::string text_;
};

TEST_F(KeptConfig, AGoodFileNeedsNoCopy) {
  const auto found = find_config(file_);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->trouble, "");
  EXPECT_EQ(found->config.file, file_);
}

TEST_F(KeptConfig, TheCopyHasNoSecret) {
  keep();
  const auto& key = config_.dataplane.hash_key;
  std::string digits;
  for (const std::uint8_t byte : key) digits += fmt::format("{:02X}", byte);
  const std::string copy = *read_file(good_config_path(config_.state_dir));
  EXPECT_THAT(copy, testing::HasSubstr("hash_key: " + std::string(32, '0')));
  write(absl::StrReplaceAll(*read_file(file_), {{absl::AsciiStrToLower(digits), digits}}));
  keep();
  EXPECT_EQ(*read_file(good_config_path(config_.state_dir)), copy) << "capital letters are the same key";
}

TEST_F(KeptConfig, StandsInForABrokenFile) {
  keep();
  write(text_ + "nonsense: 1\n");
  const auto found = find_config(file_);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->trouble, AllOf(HasSubstr(file_.string()), HasSubstr("nonsense"), HasSubstr("pop.good.yaml")));
  EXPECT_EQ(found->config.announcements, config_.announcements);
  EXPECT_EQ(found->config.state_dir, config_.state_dir);
}

TEST_F(KeptConfig, StandsInForAFileThatIsNoYamlOrIsMissing) {
  keep();
  write("state_dir: '" + config_.state_dir.string() + "'\n}{\n");
  EXPECT_TRUE(find_config(file_).ok());
  std::filesystem::remove(file_);
  EXPECT_TRUE(find_config(file_, config_.state_dir).ok());
  const auto nowhere = find_config(file_);
  ASSERT_FALSE(nowhere.ok());
  EXPECT_THAT(std::string(nowhere.status().message()), AllOf(HasSubstr("pop.yaml"), HasSubstr("/var/lib/anypop")));
}

TEST_F(KeptConfig, StaysWhenTheFileBreaksBetweenLoadAndCopy) {
  keep();
  const auto before = read_file(good_config_path(config_.state_dir));
  write("}{");
  EXPECT_FALSE(keep_good_config(config_).ok());
  EXPECT_EQ(*read_file(good_config_path(config_.state_dir)), *before);
}

TEST_F(KeptConfig, IsForNoMoreEyesThanTheFile) {
  using std::filesystem::perms;
  const perms mode = perms::owner_read | perms::owner_write | perms::group_read;
  std::filesystem::permissions(file_, mode);
  keep();
  EXPECT_EQ(std::filesystem::status(good_config_path(config_.state_dir)).permissions(), mode);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(config_.state_dir), {}), 1)
      << "nothing is left beside it";
}

TEST_F(KeptConfig, FollowsTheFile) {
  keep();
  text_ += "# another remark\n";
  write(text_);
  keep();
  EXPECT_THAT(*read_file(good_config_path(config_.state_dir)), HasSubstr("another remark"));
}

// Somebody tries a file of theirs: an order must not reach the PoP by the copy of another one.
TEST_F(KeptConfig, OfAnotherFileIsNone) {
  keep();
  const auto other = folder_ / "other.yaml";
  ASSERT_TRUE(write_file_atomically(other, text_ + "nonsense: 1\n").ok());
  EXPECT_FALSE(find_config(other).ok());
}

TEST_F(KeptConfig, ABrokenCopyIsNone) {
  keep();
  const auto copy = good_config_path(config_.state_dir);
  ASSERT_TRUE(write_file_atomically(copy, "}{" + *read_file(copy)).ok());
  write("}{");
  EXPECT_FALSE(find_config(file_, config_.state_dir).ok());
}

}  // namespace
}  // namespace anypop::bgpctl
