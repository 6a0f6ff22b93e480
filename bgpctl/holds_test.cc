// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/holds.h"

#include <gmock/gmock.h>

#include "base/atomic_file.h"
#include "test_pop.h"

namespace anypop::bgpctl {
namespace {

using testing::HasSubstr;

class Holds : public TestPop {
 protected:
  Hold hold_{HoldKind::kWithdraw, "ticket 42 \"quoted\"", "alice", 1000, std::nullopt};
};

TEST_F(Holds, SurviveOnDisk) {
  EXPECT_TRUE(load_holds(config_, 0)->empty());
  hold_.expires_unix_ms = 5000;
  ASSERT_TRUE(place_hold(config_, "web", hold_).ok());
  ASSERT_TRUE(place_hold(config_, "dns-4", {HoldKind::kAnnounce, "", "bob", 7, std::nullopt}).ok());
  const auto holds = load_holds(config_, 4999);
  ASSERT_TRUE(holds.ok()) << holds.status();
  EXPECT_EQ(holds->at("web"), hold_);
  EXPECT_EQ(holds->at("dns-4").kind, HoldKind::kAnnounce);
  ASSERT_TRUE(release_hold(config_, "web").ok());
  ASSERT_TRUE(release_hold(config_, "web").ok());
  EXPECT_EQ(load_holds(config_, 0)->size(), 1U);
}

TEST_F(Holds, EndAtTheirExpiry) {
  hold_.expires_unix_ms = 5000;
  ASSERT_TRUE(place_hold(config_, "web", hold_).ok());
  EXPECT_EQ(load_holds(config_, 4999)->size(), 1U);
  EXPECT_TRUE(load_holds(config_, 5000)->empty());
}

TEST_F(Holds, ReplaceEachOther) {
  ASSERT_TRUE(place_hold(config_, "web", hold_).ok());
  hold_.kind = HoldKind::kAnnounce;
  ASSERT_TRUE(place_hold(config_, "web", hold_).ok());
  EXPECT_EQ(load_holds(config_, 0)->at("web"), hold_);
}

TEST_F(Holds, UnreadableIsNotNoHold) {
  ASSERT_TRUE(place_hold(config_, "web", hold_).ok());
  const auto path = config_.holds_dir() / "web.json";
  const std::string deep = std::string(100000, '[');
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[]"), deep, std::string(5U << 20U, ' '),
        std::string(R"({"kind":"sideways","reason":"","who":"","placed_unix_ms":0})"),
        std::string(R"({"kind":"withdraw","reason":1,"who":"","placed_unix_ms":0})"),
        std::string(R"({"kind":"withdraw","reason":"","who":"","placed_unix_ms":0,"expires_unix_ms":"soon"})"),
        std::string(R"({"kind":"withdraw","reason":"","who":"","placed_unix_ms":1e99})")}) {
    ASSERT_TRUE(write_file_atomically(path, text).ok());
    const auto holds = load_holds(config_, 0);
    ASSERT_FALSE(holds.ok()) << text.substr(0, 80);
    EXPECT_THAT(std::string(holds.status().message()), HasSubstr("web.json"));
    EXPECT_EQ(holds.status().message().find('\n'), std::string::npos);
    EXPECT_TRUE(load_hold(config_, "dns-4", 0).ok()) << "one bad file must not stop the others";
  }
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  EXPECT_FALSE(load_holds(config_, 0).ok());
}

TEST_F(Holds, OnlyForAnnouncementsThatExist) {
  EXPECT_EQ(place_hold(config_, "../../etc/passwd", hold_).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(release_hold(config_, "nope").code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(config_.holds_dir()));
}

}  // namespace
}  // namespace anypop::bgpctl
