// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <optional>

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_bird.h"
#include "test_pop.h"

namespace anypop::bgpctl {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

class SessionTest : public TestPop {
 protected:
  void TearDown() override {
    session_->close();
    io_.restart();
    io_.run_for(50ms);
    TestPop::TearDown();
  }

  absl::StatusOr<Reply> ask(const std::string& line) {
    std::optional<absl::StatusOr<Reply>> got;
    session_->command(line, [&](absl::StatusOr<Reply> reply) { got = std::move(reply); });
    EXPECT_FALSE(got.has_value()) << "the handler ran inside the call";
    const auto end = std::chrono::steady_clock::now() + 10s;
    io_.restart();
    while (!got && std::chrono::steady_clock::now() < end) io_.run_one_for(100ms);
    return got ? *got : absl::StatusOr<Reply>(absl::UnknownError("the handler never ran"));
  }
  std::string text(const absl::StatusOr<Reply>& reply) {
    return reply.ok() ? reply->lines.front().text : reply.status().ToString();
  }

  boost::asio::io_context io_;
  std::string path_;
  std::shared_ptr<Session> session_;
  void SetUp() override {
    TestPop::SetUp();
    path_ = config_.birds.front().socket;
    session_ = std::make_shared<Session>(io_, path_, SessionTimeouts{200ms, 200ms, 200ms});
  }
};

TEST_F(SessionTest, KeepsTheConnectionAndTheOrder) {
  FakeBird bird(io_, path_);
  bird.on_command = [](FakeBird& b, FakeBird::Client& c, const std::string& line) { b.send(c, "0023 " + line + "\n"); };
  std::vector<std::string> got;
  for (const char* line : {"a", "b", "c"}) {
    session_->command(line, [&](absl::StatusOr<Reply> reply) { got.push_back(text(reply)); });
  }
  EXPECT_EQ(text(ask("d")), "d");
  EXPECT_THAT(got, ElementsAre("a", "b", "c"));
  EXPECT_EQ(bird.clients_.size(), 1U);
}

TEST_F(SessionTest, AsynchronousLinesAreNoReplies) {
  FakeBird bird(io_, path_);
  bird.on_command = [](FakeBird& b, FakeBird::Client& c, const std::string& line) {
    b.send(c,
           "+x: State changed to down\n<3 messages lost>\n0023-" + line + "\n+more\n0000 \n+Config timeout expired\n");
  };
  EXPECT_EQ(text(ask("one")), "one");
  EXPECT_EQ(text(ask("two")), "two");
  EXPECT_EQ(bird.clients_.size(), 1U);
}

TEST_F(SessionTest, ALateReplyIsNotTakenForTheNext) {
  FakeBird bird(io_, path_);
  FakeBird::Client* slow = nullptr;
  bird.on_command = [&](FakeBird& b, FakeBird::Client& c, const std::string& line) {
    if (line == "slow") {
      slow = &c;
    } else {
      if (slow != nullptr) b.send(*slow, "0023 late answer to slow\n");
      b.send(c, "0023 answer to " + line + "\n");
    }
  };
  const auto slow_reply = ask("slow");
  EXPECT_EQ(slow_reply.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(slow_reply.status().message()), HasSubstr(path_));
  EXPECT_THAT(std::string(slow_reply.status().message()), HasSubstr("'slow'"));
  EXPECT_EQ(text(ask("next")), "answer to next");
  EXPECT_EQ(bird.clients_.size(), 2U);
}

TEST_F(SessionTest, AReplyThatNobodyAskedForClosesTheConnection) {
  FakeBird bird(io_, path_);
  bird.on_command = [&](FakeBird& b, FakeBird::Client& c, const std::string& line) {
    b.send(c, "0023 " + line + "\n" + (line == "a" ? "0023 surplus\n" : ""));
  };
  EXPECT_EQ(text(ask("a")), "a");
  EXPECT_EQ(text(ask("b")), "b");
  EXPECT_EQ(bird.clients_.size(), 2U);
}

TEST_F(SessionTest, EndOfFileInTheReplyIsAnError) {
  FakeBird bird(io_, path_);
  bird.on_command = [&](FakeBird& b, FakeBird::Client& c, const std::string& line) {
    b.send(c, line == "half" ? "1002-half\n" : "0023 whole\n");
    if (line == "half") b.hang_up(c);
  };
  const auto half = ask("half");
  EXPECT_EQ(half.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(half.status().message()), HasSubstr("hung up"));
  EXPECT_EQ(text(ask("whole")), "whole");
}

TEST_F(SessionTest, ARestartBetweenCommandsIsNotNoticed) {
  auto answer = [](FakeBird& b, FakeBird::Client& c, const std::string& line) { b.send(c, "0023 " + line + "\n"); };
  std::optional<FakeBird> bird(std::in_place, io_, path_);
  bird->on_command = answer;
  EXPECT_EQ(text(ask("a")), "a");
  bird.reset();
  bird.emplace(io_, path_);
  bird->on_command = answer;
  EXPECT_EQ(text(ask("b")), "b");
  bird.reset();
  EXPECT_EQ(ask("c").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SessionTest, AHungBirdIsGivenUp) {
  FakeBird silent(io_, path_, /*greets=*/false);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("a").status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(silent.commands.empty()) << "no command before the banner";
}

// SIGSTOP: the kernel takes connections until the queue is full, and then says EAGAIN.
TEST_F(SessionTest, AFullQueueOfConnectionsIsAHungBird) {
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask("a").status().code(), absl::StatusCode::kDeadlineExceeded) << i;
  ::close(listener);
}

TEST_F(SessionTest, ErrorsNameTheSocketAndTheRemedy) {
  auto missing = ask("a");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("no BIRD at " + path_));

  session_ = std::make_shared<Session>(io_, std::string(200, 'x'));
  EXPECT_EQ(ask("a").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SessionTest, NotPermittedIsSaidSo) {
  if (::geteuid() == 0 && ::seteuid(65534) != 0) GTEST_SKIP() << "cannot become another user";
  ASSERT_EQ(::seteuid(0), 0);
  FakeBird bird(io_, path_);
  ::chmod(folder_.c_str(), 0755);
  ::chmod(path_.c_str(), 0600);
  ASSERT_EQ(::seteuid(65534), 0);
  const auto refused = ask("a");
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("group"));
}

TEST_F(SessionTest, RefusesCommandsThatBirdWouldHangUpOn) {
  FakeBird bird(io_, path_);
  for (const std::string& line : {std::string(), std::string(1023, 'x'), std::string("a\nb"), std::string("a\rb")}) {
    EXPECT_EQ(ask(line).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(bird.commands.empty());
  EXPECT_TRUE(ask(std::string(1022, 'x')).ok());
}

TEST_F(SessionTest, AReplyTooLongClosesTheConnection) {
  FakeBird bird(io_, path_);
  bird.on_command = [&](FakeBird& b, FakeBird::Client& c, const std::string& line) {
    b.send(c, line == "long" ? std::string(ReplyParser::kLineMaxBytes + 10, 'x') : "0023 fine\n");
  };
  EXPECT_EQ(ask("long").status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(text(ask("short")), "fine");
}

TEST_F(SessionTest, OnlyBirdIsTalkedTo) {
  FakeBird other(io_, path_, /*greets=*/false);
  io_.restart();
  std::optional<absl::StatusOr<Reply>> got;
  session_->command("a", [&](absl::StatusOr<Reply> reply) { got = std::move(reply); });
  while (other.clients_.empty()) io_.run_one_for(100ms);
  other.send(*other.clients_[0], "0220 mail.example.com\n");
  while (!got) io_.run_one_for(100ms);
  EXPECT_EQ(got->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(other.commands.empty());
}

}  // namespace
}  // namespace anypop::bgpctl
