// SPDX-License-Identifier: Apache-2.0
#include "facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "status.h"

namespace anypop::bgpctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Facts : public testing::Test {
 protected:
  void SetUp() override {
    facts_.announcement.name = "web";
    facts_.announcement.prefixes = {*IpPrefix::parse("198.51.100.0/24")};
    facts_.wish = MonitorWish{Level::kAnnounced, "all is well", 0};
    facts_.state_file = Level::kAnnounced;
    facts_.standing = AnnouncementStanding{true, true, false, {"t1", "t2"}, {}, {}, true, Level::kAnnounced};
  }
  AnnouncementFacts facts_;
};

TEST_F(Facts, AgreeingDifferInNothing) {
  EXPECT_THAT(differences(facts_), IsEmpty());
  facts_.wish.reset();
  EXPECT_THAT(differences(facts_), IsEmpty()) << "without a monitor the rest still agrees";
}

TEST_F(Facts, AHoldOutranksTheMonitor) {
  facts_.hold = Hold{HoldKind::kWithdraw, "r", "alice", 0, std::nullopt};
  EXPECT_EQ(intended(facts_), Level::kWithdrawn);
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("the state file says announced"),
                                               HasSubstr("intended withdrawn, but BIRD has it in the table")));
  facts_.hold = std::nullopt;
  EXPECT_EQ(intended(facts_), Level::kAnnounced);
  facts_.wish.reset();
  EXPECT_EQ(intended(facts_), std::nullopt);
}

TEST_F(Facts, EachContradictionIsSaid) {
  facts_.standing->not_exported_to = {"t3"};
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("not exported to t3")));

  facts_.standing = AnnouncementStanding{true, false, true, {"t1"}, {}, {}, true, std::nullopt};
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("only some")));

  facts_.wish->level = Level::kWithdrawn;
  facts_.state_file = Level::kWithdrawn;
  facts_.standing = AnnouncementStanding{true, false, false, {"t1"}, {}, {}, true, Level::kWithdrawn};
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("another protocol of BIRD")));

  facts_.standing = AnnouncementStanding{true, true, false, {"t1"}, {}, {}, true, Level::kAnnounced};
  facts_.wish.reset();
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("the next `configure`")));

  facts_.standing = AnnouncementStanding{};
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("bgpctl render")));

  facts_.standing.reset();
  facts_.state_file = absl::NotFoundError("x");
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("bgpctl init")));

  facts_.hold = absl::InvalidArgumentError("web.json: nonsense");
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("web.json: nonsense"), HasSubstr("bgpctl init")));
}

TEST_F(Facts, ADrainIsALevelOfItsOwn) {
  facts_.hold = Hold{HoldKind::kDrain, "r", "alice", 0, std::nullopt};
  EXPECT_EQ(intended(facts_), Level::kDrained);
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("intended drained, but the state file says announced"),
                                               HasSubstr("intended drained, but BIRD has it in the table")));
  facts_.state_file = Level::kDrained;
  facts_.standing = AnnouncementStanding{true, true, false, {"t1", "t2"}, {}, {"t1"}, true, Level::kDrained};
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("only 1 of 2 sessions are told so")));
  facts_.wish->level = Level::kWithdrawn;
  EXPECT_EQ(intended(facts_), Level::kWithdrawn) << "health says more than a drain";
  facts_.hold = std::nullopt;
  facts_.wish->level = Level::kAnnounced;
  facts_.state_file = Level::kAnnounced;
  facts_.standing = AnnouncementStanding{true, true, false, {"t1"}, {}, {}, false, Level::kAnnounced};
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("lacks its drain protocols")));
}

// A force hold, or keep_last: what is announced must not look well.
TEST_F(Facts, WhatIsAnnouncedAgainstHealthIsSaid) {
  facts_.wish->deserved = Level::kWithdrawn;
  facts_.wish->deserved_cause = "web4: 0 of 2 backends healthy";
  facts_.hold = Hold{HoldKind::kAnnounce, "probe's wrong", "alice", 0, std::nullopt};
  EXPECT_THAT(differences(facts_), ElementsAre(HasSubstr("though health says withdrawn")));
  PopFacts pop;
  pop.bird = BirdView{};
  pop.monitor = MonitorState{};
  pop.announcements = {facts_};
  EXPECT_FALSE(all_is_well(pop));
  PopConfig config;
  const std::string text = status_text(config, pop, 0);
  EXPECT_THAT(text, HasSubstr("held announced by alice: probe's wrong (until released)"));
  EXPECT_THAT(text, HasSubstr("  health     withdrawn: web4: 0 of 2 backends healthy\n"));

  facts_.wish->deserved = Level::kDrained;
  pop.announcements = {facts_};
  EXPECT_THAT(differences(facts_), IsEmpty());
  EXPECT_TRUE(all_is_well(pop));
}

TEST_F(Facts, EverythingThatIsMarkedIsNotWell) {
  PopFacts good;
  good.bird = BirdView{};
  good.monitor = unavailable("not running");
  good.announcements = {facts_};
  EXPECT_TRUE(all_is_well(good)) << "without a monitor, too";
  PopFacts pop = good;
  pop.config_trouble = "pop.yaml:1: nonsense";
  EXPECT_FALSE(all_is_well(pop));
  pop = good;
  pop.monitor = MonitorState{.announcements = {}, .warnings = {"anypop_old_v6: up, but not in pop.yaml"}};
  EXPECT_FALSE(all_is_well(pop));
  EXPECT_THAT(status_text(PopConfig{}, pop, 0), HasSubstr("  monitor    ! anypop_old_v6: up, but not in pop.yaml\n"));
  pop = good;
  pop.bird_config_errors = {"bird.conf:1:1 syntax error"};
  EXPECT_FALSE(all_is_well(pop));
  pop = good;
  pop.monitor = deadline_exceeded("it hangs");
  EXPECT_FALSE(all_is_well(pop));
  pop = good;
  pop.bird = unavailable("no BIRD");
  EXPECT_FALSE(all_is_well(pop));
  pop.bird = BirdView{};
  pop.bird->instances = {BirdInstance{}, BirdInstance{}};
  pop.bird->instances.back().error = "no BIRD at bird6.ctl";
  EXPECT_FALSE(all_is_well(pop));
}

TEST_F(Facts, AreShownToPeopleWithoutControlCharacters) {
  PopConfig config;
  config.pop = "ams";
  facts_.hold = Hold{HoldKind::kWithdraw, "\x1b[2Jboo", "alice", 0, 90'000};
  PopFacts pop;
  pop.bird = unavailable("no BIRD at /run/bird/bird.ctl");
  pop.monitor = unavailable("nobody there");
  pop.announcements = {facts_};
  const std::string text = status_text(config, pop, 0);
  EXPECT_THAT(text, HasSubstr("held withdrawn by alice: "));
  EXPECT_THAT(text, HasSubstr("for another 1 min 30 s"));
  EXPECT_THAT(text, HasSubstr("not running"));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace anypop::bgpctl
