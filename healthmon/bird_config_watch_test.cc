// SPDX-License-Identifier: Apache-2.0
#include "healthmon/bird_config_watch.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <boost/json/object.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "../bgpctl/fake_bird.h"
#include "base/text.h"

namespace anypop::healthmon {
namespace {

using namespace std::chrono_literals;
using bgpctl::FakeBird;
using Clock = std::chrono::steady_clock;

class BirdConfigWatchTest : public testing::Test {
 protected:
  void watch(BirdConfigWatch::Pace pace) {
    watch_.emplace(
        io, path, [this](const boost::json::object& event) { events.push_back(event); }, pace);
  }
  void run_until(const std::function<bool()>& fact, std::chrono::milliseconds patience = 5s) {
    const auto end = Clock::now() + patience;
    while (!fact() && Clock::now() < end) io.run_one_for(10ms);
  }
  // Says nothing, and is gone after a while: what a hang looks like to a client that gives up.
  void say_nothing_for(FakeBird::Client& client, std::chrono::milliseconds time) {
    const auto timer = std::make_shared<boost::asio::steady_timer>(io, time);
    timer->async_wait([timer, &client](boost::system::error_code) { FakeBird::hang_up(client); });
  }

  boost::asio::io_context io;
  const std::string path = fmt::format("{}bird_config_watch_{}.ctl", testing::TempDir(), ::getpid());
  FakeBird bird{io, path};
  std::vector<boost::json::object> events;
  std::optional<BirdConfigWatch> watch_;
};

TEST_F(BirdConfigWatchTest, SilenceIsNoReasonToAskSeldom) {
  bird.on_command = [&](FakeBird& self, FakeBird::Client& client, const std::string&) {
    if (self.commands.size() == 1) return say_nothing_for(client, 300ms);
    self.send(client, "8002 bird.conf:3:1 syntax error\n");
  };
  const auto start = Clock::now();
  watch({.interval = 50ms, .longest = 1h});
  run_until([&] { return !events.empty(); });
  ASSERT_EQ(events.size(), 1U) << "asked " << bird.commands.size() << " times";
  EXPECT_LT(Clock::now() - start, 3s);
  EXPECT_EQ(events[0].at("good"), false);
  EXPECT_THAT(watch_->error(), testing::HasSubstr("syntax error"));
}

TEST_F(BirdConfigWatchTest, ASlowAnswerMakesItSeldomButNotBlind) {
  bird.on_command = [&](FakeBird& self, FakeBird::Client& client, const std::string&) {
    const auto timer = std::make_shared<boost::asio::steady_timer>(io, 50ms);
    timer->async_wait([&self, &client, timer](boost::system::error_code) { self.send(client, "0020 fine\n"); });
  };
  watch({.interval = 1ms, .longest = 200ms});
  const auto start = Clock::now();
  run_until([&] { return bird.commands.size() == 3; });
  EXPECT_EQ(bird.commands.size(), 3U) << "50 ms are worth 50 s, and 200 ms is the limit";
  EXPECT_GE(Clock::now() - start, 400ms);
}

TEST_F(BirdConfigWatchTest, AsksAgainWhenItIsTold) {
  watch({.interval = 1h, .longest = 1h});
  run_until([&] { return bird.commands.size() == 1; });
  run_until([&] { return false; }, 30ms);  // its answer arrives
  bird.on_command = [](FakeBird& self, FakeBird::Client& client, const std::string&) {
    self.send(client, "8002 broken\n");
  };
  watch_->ask_now();
  run_until([&] { return !events.empty(); });
  EXPECT_EQ(events.size(), 1U);
  EXPECT_EQ(bird.commands.size(), 2U);
}

// BIRD hung, and answers again before the last question has been given up.
TEST_F(BirdConfigWatchTest, AskedWhileAQuestionIsUnderWayItAsksOnceMore) {
  bird.on_command = [&](FakeBird& self, FakeBird::Client& client, const std::string&) {
    if (self.commands.size() == 1) return say_nothing_for(client, 200ms);
    self.send(client, "8002 broken\n");
  };
  watch({.interval = 1h, .longest = 1h});
  run_until([&] { return bird.commands.size() == 1; });
  watch_->ask_now();
  run_until([&] { return !events.empty(); });
  EXPECT_EQ(events.size(), 1U);
}

}  // namespace
}  // namespace anypop::healthmon
