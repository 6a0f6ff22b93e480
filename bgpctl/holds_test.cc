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

TEST_F(Holds, DoNotComeBackWithAClockThatStepsBack) {
  hold_.expires_unix_ms = 5'000'000;
  ASSERT_TRUE(place_hold(config_, "web", hold_).ok());
  EXPECT_TRUE(load_holds(config_, 5'000'000)->empty());
  EXPECT_TRUE(load_holds(config_, 5'000'000 - 3'600'000)->empty());
  // An unlimited one, and the one that replaces it, are not touched.
  hold_.expires_unix_ms = std::nullopt;
  ASSERT_TRUE(place_hold(config_, "web", hold_).ok());
  EXPECT_EQ(load_holds(config_, 9'000'000)->size(), 1U);
}

// Nobody sees the one beneath while the other stands, but its time passes all the same.
TEST_F(Holds, BeneathAnotherDoNotComeBackWithAClockThatStepsBack) {
  const Hold drain{HoldKind::kDrain, "until noon", "alice", 1, 5'000'000};
  ASSERT_TRUE(place_hold(config_, "web", drain).ok());
  ASSERT_TRUE(place_hold_above(config_, "web", hold_).ok());
  EXPECT_EQ(load_holds(config_, 4'999'999)->at("web"), hold_);
  EXPECT_EQ(load_holds(config_, 5'000'000)->at("web"), hold_);
  ASSERT_TRUE(release_hold(config_, "web").ok());
  EXPECT_TRUE(load_holds(config_, 5'000'000 - 3'600'000)->empty());
}

TEST_F(Holds, AnOperatorsWaitsBeneathTheMachines) {
  const Hold drain{HoldKind::kDrain, "until monday", "alice", 1, std::nullopt};
  ASSERT_TRUE(place_hold(config_, "web", drain).ok());
  ASSERT_TRUE(place_hold_above(config_, "web", hold_).ok());
  EXPECT_EQ(load_holds(config_, 0)->at("web"), hold_);
  ASSERT_TRUE(release_hold(config_, "web").ok());
  EXPECT_EQ(load_holds(config_, 0)->at("web"), drain);
  ASSERT_TRUE(release_hold(config_, "web").ok());
  EXPECT_TRUE(load_holds(config_, 0)->empty());

  // Nothing there: nothing beneath.
  ASSERT_TRUE(place_hold_above(config_, "web", hold_).ok());
  ASSERT_TRUE(release_hold(config_, "web").ok());
  EXPECT_TRUE(load_holds(config_, 0)->empty());
}

TEST_F(Holds, EndAlsoWhenTheOneAboveNeverCame) {
  ASSERT_TRUE(place_hold(config_, "web", hold_).ok());
  std::filesystem::create_hard_link(config_.holds_dir() / "web.json", config_.holds_dir() / "web.beneath.json");
  ASSERT_TRUE(release_hold(config_, "web").ok());
  EXPECT_TRUE(load_holds(config_, 0)->empty());
}

TEST_F(Holds, BeneathAnotherAreForgottenWhenAnOperatorOrdersAnew) {
  const Hold drain{HoldKind::kDrain, "until monday", "alice", 1, std::nullopt};
  for (const bool replaced : {true, false}) {
    ASSERT_TRUE(place_hold(config_, "web", drain).ok());
    ASSERT_TRUE(place_hold_above(config_, "web", hold_).ok());
    if (replaced) {
      ASSERT_TRUE(place_hold(config_, "web", hold_).ok());
    }
    ASSERT_TRUE(release_hold(config_, "web", replaced ? Beneath::kKeep : Beneath::kDrop).ok());
    EXPECT_TRUE(load_holds(config_, 0)->empty()) << replaced;
  }
}

TEST_F(Holds, BeneathAnExpiredOneAreInForceAgain) {
  Hold drain{HoldKind::kDrain, "until monday", "alice", 1, 8000};
  ASSERT_TRUE(place_hold(config_, "web", drain).ok());
  hold_.expires_unix_ms = 5000;
  ASSERT_TRUE(place_hold_above(config_, "web", hold_).ok());
  EXPECT_EQ(load_holds(config_, 5000)->at("web"), drain);
  EXPECT_TRUE(load_holds(config_, 8000)->empty());
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
