// SPDX-License-Identifier: Apache-2.0
#include "healthmon/dataplane_condition.h"

#include <chrono>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "dataplane_api/http_server.h"
#include "healthmon/dataplane_link.h"

namespace anypop::healthmon {
namespace {

using namespace std::chrono_literals;
using Condition = DataplaneFacts::Condition;

dataplane_api::Heartbeat beat(double age_ms = 1) {
  return {.instance = "a", .generation = 1, .workers = {{.worker = 0}, {.worker = 1, .age_ms = age_ms}}};
}

class DataplaneConditionTest : public testing::Test {
 protected:
  SteadyTime at(int ms) { return SteadyTime(1h) + std::chrono::milliseconds(ms); }
  Condition condition() { return dataplane.facts().condition; }

  DataplaneCondition dataplane{{.heartbeat_interval_ms = 50, .heartbeat_timeout_ms = 200}, SteadyTime(1h)};
};

TEST_F(DataplaneConditionTest, SilenceIsDeathAfterTheTimeout) {
  EXPECT_EQ(condition(), Condition::kUnknown);
  dataplane.on_heartbeat(beat(), at(0));
  EXPECT_EQ(condition(), Condition::kAlive);
  EXPECT_EQ(dataplane.deadline(), at(200));
  dataplane.on_time(at(199), 0ms);
  EXPECT_EQ(condition(), Condition::kAlive);
  dataplane.on_heartbeat(absl::DeadlineExceededError("no answer in time"), at(199));
  EXPECT_EQ(condition(), Condition::kAlive);
  dataplane.on_time(at(200), 0ms);
  EXPECT_EQ(condition(), Condition::kDead);
  EXPECT_EQ(dataplane.facts().cause, "the dataplane has not answered for 200 ms: no answer in time");
  dataplane.on_heartbeat(beat(), at(300));
  EXPECT_EQ(condition(), Condition::kAlive);
}

TEST_F(DataplaneConditionTest, OneThatNeverAnswersIsDeadToo) {
  dataplane.on_time(at(200), 0ms);
  EXPECT_EQ(condition(), Condition::kDead);
}

TEST_F(DataplaneConditionTest, ARefusedConnectionIsDeathAtOnce) {
  dataplane.on_heartbeat(beat(), at(0));
  dataplane.on_heartbeat(absl::UnavailableError("run/dataplane.sock: Connection refused"), at(10));
  EXPECT_EQ(condition(), Condition::kDead);
  EXPECT_EQ(dataplane.facts().cause, "the dataplane is gone: run/dataplane.sock: Connection refused");
}

dataplane_api::Heartbeat planning(std::uint64_t ms) {
  dataplane_api::Heartbeat heartbeat = beat();
  heartbeat.planned_restart_ms = ms;
  return heartbeat;
}

TEST_F(DataplaneConditionTest, APlannedRestartIsNoDeathUntilItsDeadline) {
  const auto refused = absl::UnavailableError("run/dataplane.sock: Connection refused");
  dataplane.on_heartbeat(planning(3000), at(0));
  EXPECT_TRUE(dataplane.facts().restarting);
  dataplane.on_heartbeat(planning(3000), at(50));
  dataplane.on_heartbeat(refused, at(100));
  dataplane.on_time(at(3049), 0ms);
  EXPECT_EQ(condition(), Condition::kAlive);
  EXPECT_EQ(dataplane.deadline(), at(3050));
  dataplane.on_time(at(3050), 0ms);
  EXPECT_EQ(condition(), Condition::kDead);
  EXPECT_EQ(dataplane.facts().cause, "the dataplane's planned restart took longer than 3000 ms");
  EXPECT_FALSE(dataplane.facts().restarting);
  // Once dead it is dead until it answers, whatever was announced before.
  dataplane.on_heartbeat(refused, at(3060));
  EXPECT_EQ(condition(), Condition::kDead);
}

TEST_F(DataplaneConditionTest, WhatIsPlannedIsOverWithTheFirstHeartbeatThatPlansNothing) {
  dataplane.on_state(dataplane_api::State{.instance = "a", .generation = 1}, at(0));
  dataplane.on_heartbeat(planning(2000), at(3000));
  dataplane.on_time(at(4900), 0ms);
  EXPECT_TRUE(dataplane.facts().next_hops_known) << "nobody could be asked";
  dataplane_api::Heartbeat successor = beat();
  successor.instance = "b";
  dataplane.on_heartbeat(successor, at(4950));
  EXPECT_FALSE(dataplane.facts().restarting);
  EXPECT_FALSE(dataplane.state_is_current()) << "to be asked at once";
  dataplane.on_time(at(4960), 0ms);
  EXPECT_TRUE(dataplane.facts().next_hops_known);
  dataplane.on_heartbeat(absl::UnavailableError("refused"), at(4970));
  EXPECT_EQ(condition(), Condition::kDead) << "this death was not planned";
}

TEST_F(DataplaneConditionTest, NoPlanIsLongerThanAllowedAndAStuckWorkerIsInNone) {
  dataplane.on_heartbeat(planning(60'000), at(0));
  EXPECT_EQ(dataplane.deadline(), at(3000));
  dataplane_api::Heartbeat stuck = planning(3000);
  stuck.workers[1].age_ms = 201;
  dataplane.on_heartbeat(stuck, at(50));
  EXPECT_EQ(condition(), Condition::kDead);

  DataplaneCondition strict{{.heartbeat_timeout_ms = 200, .restart_grace_ms = 0}, SteadyTime(1h)};
  strict.on_heartbeat(planning(3000), at(0));
  EXPECT_FALSE(strict.facts().restarting);
  strict.on_heartbeat(absl::UnavailableError("refused"), at(10));
  EXPECT_EQ(strict.facts().condition, Condition::kDead);
}

TEST_F(DataplaneConditionTest, OneStuckWorkerIsDeath) {
  dataplane.on_heartbeat(beat(200), at(0));
  EXPECT_EQ(condition(), Condition::kAlive);
  dataplane.on_heartbeat(beat(201), at(50));
  EXPECT_EQ(condition(), Condition::kDead);
  EXPECT_EQ(dataplane.facts().cause, "worker 1 of the dataplane stands still, 200 ms allowed");
  dataplane.on_heartbeat(dataplane_api::Heartbeat{.instance = "a"}, at(100));
  EXPECT_EQ(dataplane.facts().cause, "the dataplane has no workers");
}

TEST_F(DataplaneConditionTest, OurOwnStallIsNotItsSilence) {
  dataplane.on_heartbeat(beat(), at(0));
  dataplane.on_time(at(10'000), 9'800ms);
  EXPECT_EQ(condition(), Condition::kAlive);
  EXPECT_EQ(dataplane.deadline(), at(10'200)) << "time to answer";
  dataplane.on_time(at(20'000), 9'800ms);
  EXPECT_EQ(condition(), Condition::kDead) << "but only once, however slow we are";
}

TEST_F(DataplaneConditionTest, NextHopsAreKnownWhileTheStateIsFresh) {
  EXPECT_FALSE(dataplane.facts().next_hops_known);
  dataplane.on_heartbeat(beat(), at(0));
  EXPECT_FALSE(dataplane.state_is_current());
  dataplane.on_state(dataplane_api::State{.instance = "a", .generation = 1}, at(0));
  EXPECT_TRUE(dataplane.state_is_current());
  EXPECT_TRUE(dataplane.facts().next_hops_known);
  dataplane_api::Heartbeat newer = beat();
  newer.generation = 2;
  dataplane.on_heartbeat(newer, at(50));
  EXPECT_FALSE(dataplane.state_is_current()) << "to be read again";
  for (int ms = 100; ms <= 3600; ms += 50) {
    dataplane.on_heartbeat(newer, at(ms));
    dataplane.on_state(absl::DeadlineExceededError("no answer in time"), at(ms));
    dataplane.on_time(at(ms), 0ms);
    EXPECT_EQ(dataplane.facts().next_hops_known, ms <= 3500) << ms;
  }
}

// Where heartbeats may be silent for longer than that, nothing else would wake the monitor.
TEST_F(DataplaneConditionTest, TheAgeOfNextHopsHasADeadlineOfItsOwn) {
  DataplaneCondition patient({.heartbeat_interval_ms = 1000, .heartbeat_timeout_ms = 10'000}, at(0));
  patient.on_heartbeat(beat(), at(0));
  patient.on_state(dataplane_api::State{.instance = "a", .generation = 1}, at(0));
  EXPECT_EQ(patient.deadline(), at(3501));
  patient.on_time(at(3501), 0ms);
  EXPECT_FALSE(patient.facts().next_hops_known);
  EXPECT_EQ(patient.facts().condition, Condition::kAlive) << "not silent for long enough to be dead";
  EXPECT_EQ(patient.deadline(), at(10'000));
}

// With a minute between heartbeats only the closed connection can tell.
TEST(DataplaneLink, SeesTheDeathOfTheServerWhenItHappens) {
  std::string name = testing::TempDir() + "link_XXXXXX";
  PopConfig config;
  config.run_dir = ::mkdtemp(name.data());
  config.monitor = {.heartbeat_interval_ms = 60'000, .heartbeat_timeout_ms = 5000};
  // Its io_context dies with it, and takes the connection along, as the death of a process does.
  auto server_io = std::make_unique<boost::asio::io_context>();
  auto server = HttpServer::listen(*server_io, {.socket_path = config.dataplane_socket()}, [](const HttpRequest&) {
    return HttpResponse{200, dataplane_api::to_json(beat())};
  });
  ASSERT_TRUE(server.ok()) << server.status();

  boost::asio::io_context io;
  std::vector<absl::Status> answers;
  const DataplaneLink link(io, config, [&](const auto& heartbeat) { answers.push_back(heartbeat.status()); });
  const auto run_until_answers = [&](std::size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (answers.size() < count && std::chrono::steady_clock::now() < deadline) {
      if (server_io) server_io->poll();
      io.run_one_for(1ms);
    }
    ASSERT_EQ(answers.size(), count);
  };
  run_until_answers(1);
  EXPECT_TRUE(answers[0].ok()) << answers[0];
  server->reset();
  server_io.reset();
  run_until_answers(2);
  EXPECT_TRUE(absl::IsUnavailable(answers[1])) << answers[1];
  std::filesystem::remove_all(config.run_dir);
}

}  // namespace
}  // namespace anypop::healthmon
