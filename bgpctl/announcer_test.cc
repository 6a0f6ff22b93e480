// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/announcer.h"

#include <fstream>
#include <optional>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <unistd.h>

#include "bgpctl/announcement.h"
#include "bgpctl/holds.h"
#include "fake_bird.h"
#include "state_lock.h"
#include "test_pop.h"

namespace anypop::bgpctl {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class AnnouncerTest : public TestPop {
 protected:
  void SetUp() override {
    TestPop::SetUp();
    announcer_.emplace(io_, config_);
  }
  void TearDown() override {
    announcer_.reset();
    bird_.reset();
    io_.restart();
    io_.run_for(20ms);
    TestPop::TearDown();
  }

  template <typename Ready>
  void run_until(Ready ready) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    io_.restart();
    while (!ready() && std::chrono::steady_clock::now() < end) io_.run_one_for(20ms);
    ASSERT_TRUE(ready());
  }
  SetResult set(bool announced) { return set(announced ? Level::kAnnounced : Level::kWithdrawn); }
  SetResult set(Level level) {
    std::optional<SetResult> got;
    announcer_->set(web(), level, [&](SetResult result) { got = std::move(result); });
    run_until([&] { return got.has_value(); });
    return *got;
  }
  absl::StatusOr<BirdView> look() {
    std::optional<absl::StatusOr<BirdView>> got;
    announcer_->look([&](absl::StatusOr<BirdView> view) { got = std::move(view); });
    run_until([&] { return got.has_value(); });
    return *got;
  }
  // Answers each command with the bytes beside the first text that it starts with.
  void answer(std::vector<std::pair<std::string, std::string>> answers) {
    bird_.emplace(io_, config_.birds.front().socket);
    bird_->on_command = [answers = std::move(answers)](FakeBird& b, FakeBird::Client& c, const std::string& line) {
      for (const auto& [start, bytes] : answers) {
        if (line.starts_with(start)) return b.send(c, bytes);
      }
    };
  }

  boost::asio::io_context io_;
  std::optional<FakeBird> bird_;
  std::optional<Announcer> announcer_;
};

TEST_F(AnnouncerTest, WritesTheStateFileBeforeTheFirstCommand) {
  bird_.emplace(io_, config_.birds.front().socket);
  std::vector<Level> said;
  bird_->on_command = [&](FakeBird& b, FakeBird::Client& c, const std::string&) {
    said.push_back(*read_state_file(config_, web()));
    b.send(c, "0009-x: disabled\n0000 \n");
  };
  const SetResult result = set(false);
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(said, testing::Each(Level::kWithdrawn));
  EXPECT_THAT(bird_->commands, ElementsAre("disable \"anypop_web_v4\"", "disable \"anypop_web_v6\"",
                                           "disable \"anypop_web_v4_drain\"", "disable \"anypop_web_v6_drain\""));
  EXPECT_EQ(result.commands, bird_->commands);
  EXPECT_LE(result.started_unix_ns, result.sent_unix_ns);
  EXPECT_LT(result.sent_unix_ns, result.replied_unix_ns);
}

TEST_F(AnnouncerTest, AlreadyThereIsSuccess) {
  answer({{"disable", "0008-x: already disabled\n0000 \n"}, {"enable", "0010-x: already enabled\n0000 \n"}});
  EXPECT_TRUE(set(false).status.ok());
  EXPECT_TRUE(set(true).status.ok());
  EXPECT_EQ(*read_state_file(config_, web()), Level::kAnnounced);
  answer({{"disable", "0004 Reconfiguration in progress\n"}});
  EXPECT_TRUE(set(false).status.ok());
}

TEST_F(AnnouncerTest, AProtocolThatBirdDoesNotKnowNamesTheRemedyAndDoesNotStopTheOthers) {
  answer({{"disable \"anypop_web_v4\"", "8003 No protocols match\n"}, {"disable", "0009-x: disabled\n0000 \n"}});
  const SetResult result = set(false);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("anypop_web_v4"));
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("bgpctl render"));
  EXPECT_EQ(result.commands.size(), 4U);
}

TEST_F(AnnouncerTest, AnErrorBeforeAGoodLastLineIsAnError) {
  answer({{"disable", "0009-x: disabled\n8006-x: failed\n0000 \n"}});
  EXPECT_FALSE(set(false).status.ok());
  answer({{"disable", "8007 Access denied\n"}});
  EXPECT_EQ(set(false).status.code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(AnnouncerTest, WritesTheStateFileWhenThereIsNoBird) {
  ASSERT_TRUE(write_state_file(config_, web(), Level::kAnnounced).ok());
  const SetResult result = set(false);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(result.sent_unix_ns, 0);
  EXPECT_THAT(result.commands, IsEmpty());
  EXPECT_EQ(*read_state_file(config_, web()), Level::kWithdrawn);
}

TEST_F(AnnouncerTest, GivesUpOnABirdThatHangsAndRecovers) {
  bird_.emplace(io_, config_.birds.front().socket);
  bird_->on_command = [](FakeBird&, FakeBird::Client&, const std::string&) {};
  EXPECT_EQ(set(false).status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(*read_state_file(config_, web()), Level::kWithdrawn);
  bird_->on_command = [](FakeBird& b, FakeBird::Client& c, const std::string&) { b.send(c, "0000 \n"); };
  EXPECT_TRUE(set(false).status.ok());
}

TEST_F(AnnouncerTest, BirdsOfTwoFamiliesDoNotWaitForOneAnother) {
  const std::string other = config_.birds.front().socket + "6";
  config_.birds = {{.socket = config_.birds.front().socket, .families = {Family::kV4}},
                   {.socket = other, .families = {Family::kV6}}};
  announcer_.emplace(io_, config_);
  FakeBird v6(io_, other);
  bird_.emplace(io_, config_.birds.front().socket);
  EXPECT_TRUE(set(true).status.ok());
  EXPECT_THAT(bird_->commands, ElementsAre("enable \"anypop_web_v4\"", "disable \"anypop_web_v4_drain\""));
  EXPECT_THAT(v6.commands, ElementsAre("enable \"anypop_web_v6\"", "disable \"anypop_web_v6_drain\""));

  v6.commands.clear();
  bird_->on_command = [](FakeBird&, FakeBird::Client&, const std::string&) {};
  const SetResult result = set(false);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(v6.commands, ElementsAre("disable \"anypop_web_v6\"", "disable \"anypop_web_v6_drain\""));
  EXPECT_EQ(*read_state_file(config_, web()), Level::kWithdrawn);
}

TEST_F(AnnouncerTest, TriesToWithdrawThoughTheStateFileCannotBeWritten) {
  answer({{"", "0000 \n"}});
  std::filesystem::create_directories(config_.run_dir.parent_path());
  std::ofstream(config_.run_dir) << "a file where the folder should be";
  SetResult result = set(false);
  EXPECT_FALSE(result.status.ok());
  EXPECT_EQ(result.commands.size(), 4U);
  result = set(true);
  EXPECT_FALSE(result.status.ok());
  EXPECT_THAT(result.commands, IsEmpty()) << "an announcement without its state file is not given";
}

TEST_F(AnnouncerTest, AWithdrawHoldForbidsAnnouncing) {
  answer({{"", "0000 \n"}});
  ASSERT_TRUE(write_state_file(config_, web(), Level::kWithdrawn).ok());
  ASSERT_TRUE(place_hold(config_, "web", {HoldKind::kWithdraw, "ticket 42", "alice", 1, std::nullopt}).ok());
  const SetResult refused = set(true);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status.message()), HasSubstr("alice: ticket 42"));
  EXPECT_THAT(bird_->commands, IsEmpty());
  EXPECT_EQ(*read_state_file(config_, web()), Level::kWithdrawn);
  EXPECT_TRUE(set(false).status.ok()) << "withdrawing is always allowed";

  ASSERT_TRUE(place_hold(config_, "web", {HoldKind::kAnnounce, "", "alice", 1, std::nullopt}).ok());
  EXPECT_TRUE(set(true).status.ok());
  ASSERT_TRUE(place_hold(config_, "web", {HoldKind::kWithdraw, "", "alice", 1, 2}).ok());
  EXPECT_TRUE(set(true).status.ok()) << "expired long ago";
}

TEST_F(AnnouncerTest, AHoldThatCannotBeReadForbidsAnnouncing) {
  answer({{"", "0000 \n"}});
  std::filesystem::create_directories(config_.holds_dir() / "web.json");
  EXPECT_FALSE(set(true).status.ok());
  EXPECT_THAT(bird_->commands, IsEmpty());
  EXPECT_TRUE(set(false).status.ok());
}

TEST_F(AnnouncerTest, TheLockStopsAnnouncingAndOnlyDelaysWithdrawing) {
  answer({{"", "0000 \n"}});
  std::optional<StateLock> lock(*StateLock::try_take(config_));
  EXPECT_EQ(set(true).status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(bird_->commands, IsEmpty());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(set(false).status.ok());
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, 150ms) << "it did not wait for the lock";
  EXPECT_LT(took, 1500ms);
  lock.reset();
  EXPECT_TRUE(set(true).status.ok());
  EXPECT_TRUE(StateLock::try_take(config_).ok()) << "set() kept the lock";
}

// The operator's hold comes while the monitor's announcement waits for the lock: the announcement must see it.
TEST_F(AnnouncerTest, HoldsAreReadUnderTheLock) {
  answer({{"", "0000 \n"}});
  std::optional<StateLock> lock(*StateLock::try_take(config_));
  std::optional<SetResult> got;
  announcer_->set(web(), Level::kAnnounced, [&](SetResult result) { got = std::move(result); });
  io_.restart();
  io_.run_for(30ms);
  ASSERT_TRUE(place_hold(config_, "web", {HoldKind::kWithdraw, "now", "alice", 1, std::nullopt}).ok());
  lock.reset();
  run_until([&] { return got.has_value(); });
  EXPECT_EQ(got->status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(bird_->commands, IsEmpty());
}

TEST_F(AnnouncerTest, LooksAtEverySessionThatStands) {
  answer({{"show status",
           "1000-BIRD 2.0.12\n1011-Router ID is 192.0.2.1\n Last reboot on A\n "
           "Last reconfiguration on B\n0013 Daemon is up and running\n"},
          {"show protocols",
           "2002-Name Proto Table State Since Info\n1002-anypop_web_v4 Static master4 up 10:00 \n"
           " up1 BGP --- up 10:00 Established\n up2 BGP --- start 10:00 Idle\n0000 \n"},
          {"show route export up1", "1007-Table master4:\n 198.51.100.0/24 blackhole [x] * (200)\n0000 \n"}});
  const auto view = look();
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->version, "2.0.12");
  EXPECT_EQ(view->last_reboot, "A");
  EXPECT_EQ(view->last_reconfiguration, "B");
  EXPECT_THAT(view->sessions.at("up1").prefixes, ElementsAre(testing::Pair(*IpPrefix::parse("198.51.100.0/24"), "x")));
  EXPECT_FALSE(view->sessions.at("up2").established);
  EXPECT_EQ(bird_->commands.size(), 3U) << "a session that is down is not asked";
}

TEST_F(AnnouncerTest, LooksAgainWhenAReconfigurationComesInBetween) {
  bird_.emplace(io_, config_.birds.front().socket);
  int stopped = 0;
  bird_->on_command = [&](FakeBird& b, FakeBird::Client& c, const std::string& line) {
    if (line == "show protocols") return b.send(c, "1002-up1 BGP --- up 10:00 Established\n0000 \n");
    if (line == "show status") return b.send(c, "1000-BIRD 3.3.2\n0004 Reconfiguration in progress\n");
    b.send(c, stopped++ < 2 ? "8004 Stopped due to reconfiguration\n" : "0000 \n");
  };
  ASSERT_TRUE(look().ok());
  EXPECT_EQ(stopped, 3);
}

TEST_F(AnnouncerTest, CarriesOutOrdersInOrderAndForgetsThemWhenDestroyed) {
  answer({{"", "0000 \n"}});
  std::vector<int> order;
  announcer_->set(web(), Level::kAnnounced, [&](const SetResult&) { order.push_back(1); });
  announcer_->set(web(), Level::kDrained, [&](const SetResult&) { order.push_back(2); });
  announcer_->set(web(), Level::kWithdrawn, [&](const SetResult&) { order.push_back(3); });
  EXPECT_THAT(order, IsEmpty());
  run_until([&] { return order.size() == 3; });
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
  EXPECT_EQ(*read_state_file(config_, web()), Level::kWithdrawn);

  announcer_->set(web(), Level::kAnnounced, [&](const SetResult&) { order.push_back(4); });
  announcer_.reset();
  io_.restart();
  io_.run_for(50ms);
  EXPECT_EQ(order.size(), 3U);
}

TEST_F(AnnouncerTest, AWithdrawalDoesNotWaitForALookAtABirdThatHangs) {
  bird_.emplace(io_, config_.birds.front().socket);
  bird_->on_command = [](FakeBird& b, FakeBird::Client& c, const std::string& line) {
    if (!line.starts_with("show")) b.send(c, "0000 \n");
  };
  ASSERT_TRUE(write_state_file(config_, web(), Level::kAnnounced).ok());
  bool looked = false;
  announcer_->look([&](const absl::StatusOr<BirdView>&) { looked = true; });
  run_until([&] { return !bird_->commands.empty(); });
  std::optional<SetResult> got;
  announcer_->set(web(), Level::kWithdrawn, [&](SetResult result) { got = std::move(result); });
  EXPECT_EQ(*read_state_file(config_, web()), Level::kWithdrawn) << "the state file comes first, and at once";
  run_until([&] { return got.has_value(); });
  EXPECT_TRUE(got->status.ok()) << got->status;
  EXPECT_FALSE(looked);
}

TEST_F(AnnouncerTest, AWithdrawalsStateFileIsNotOverwrittenByWhatWasOrderedBeforeIt) {
  bird_.emplace(io_, config_.birds.front().socket);
  bird_->on_command = [](FakeBird&, FakeBird::Client&, const std::string&) {};
  std::vector<absl::StatusCode> codes;
  const auto note = [&](const SetResult& result) { codes.push_back(result.status.code()); };
  announcer_->set(web(), Level::kDrained, note);  // hangs
  run_until([&] { return !bird_->commands.empty(); });
  announcer_->set(web(), Level::kAnnounced, note);
  announcer_->set(web(), Level::kWithdrawn, note);
  bool always = true;
  run_until([&] {
    always = always && *read_state_file(config_, web()) == Level::kWithdrawn;
    return codes.size() == 3;
  });
  EXPECT_TRUE(always);
  EXPECT_THAT(codes, ElementsAre(absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kAborted,
                                 absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(bird_->commands, testing::Not(testing::Contains("enable \"anypop_web_v4\"")));
}

TEST_F(AnnouncerTest, ADrainIsUpBeforeThePlainRouteAndHasItsOwnHold) {
  answer({{"", "0000 \n"}});
  EXPECT_TRUE(set(Level::kDrained).status.ok());
  EXPECT_EQ(*read_state_file(config_, web()), Level::kDrained);
  EXPECT_THAT(bird_->commands, ElementsAre("enable \"anypop_web_v4_drain\"", "enable \"anypop_web_v6_drain\"",
                                           "enable \"anypop_web_v4\"", "enable \"anypop_web_v6\""));
  ASSERT_TRUE(place_hold(config_, "web", {HoldKind::kDrain, "r", "alice", 1, std::nullopt}).ok());
  EXPECT_EQ(set(Level::kAnnounced).status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(set(Level::kDrained).status.ok());
  EXPECT_TRUE(set(Level::kWithdrawn).status.ok());
  ASSERT_TRUE(place_hold(config_, "web", {HoldKind::kWithdraw, "r", "alice", 1, std::nullopt}).ok());
  EXPECT_EQ(set(Level::kDrained).status.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(AnnouncerTest, ABirdWithoutDrainProtocolsCanDoEverythingElse) {
  answer({{"disable \"anypop_web_v4_drain", "8003 No protocols match\n"},
          {"disable \"anypop_web_v6_drain", "8003 No protocols match\n"},
          {"enable \"anypop_web_v4_drain", "8003 No protocols match\n"},
          {"", "0000 \n"}});
  EXPECT_TRUE(set(Level::kAnnounced).status.ok());
  EXPECT_TRUE(set(Level::kWithdrawn).status.ok());
  const SetResult refused = set(Level::kDrained);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status.message()), HasSubstr("bgpctl render"));
}

// A fault at every step of a look and a set. A connection that served before may have ended with a BIRD that restarts,
// so the command is given once more; on a new connection it is an error.
TEST_F(AnnouncerTest, EndsWhereverTheConnectionBreaks) {
  for (int good = 0; good < 5; ++good) {
    bird_.reset();
    bird_.emplace(io_, config_.birds.front().socket);
    announcer_.emplace(io_, config_);
    bird_->on_command = [&, left = good](FakeBird& b, FakeBird::Client& c, const std::string& line) mutable {
      if (left-- == 0) return b.hang_up(c);
      b.send(c, line == "show protocols" ? "1002-up1 BGP --- up 10:00 Established\n0000 \n" : "0000 \n");
    };
    EXPECT_EQ(look().ok(), good > 0) << good;
    // A look that met no fault leaves it to the command, which is the first on its connection.
    EXPECT_EQ(set(false).status.ok(), good != 3) << good;
    EXPECT_TRUE(set(false).status.ok()) << good;
  }
}

}  // namespace
}  // namespace anypop::bgpctl
