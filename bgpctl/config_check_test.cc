// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/config_check.h"

#include <optional>

#include <gmock/gmock.h>

#include "fake_bird.h"
#include "test_pop.h"

namespace anypop::bgpctl {
namespace {

class ConfigCheckTest : public TestPop {
 protected:
  absl::Status ask(const std::string& answer) {
    FakeBird bird(io_, config_.birds.front().socket);
    bird.on_command = [&](FakeBird& b, FakeBird::Client& client, const std::string& line) {
      EXPECT_EQ(line, "configure check") << "nothing that changes anything";
      answer.empty() ? FakeBird::hang_up(client) : b.send(client, answer);
    };
    return ask();
  }
  absl::Status ask() {
    ConfigCheck check(io_, config_.birds.front().socket);
    std::optional<absl::Status> result;
    check.ask([&](absl::Status status) { result = std::move(status); });
    io_.restart();
    while (!result && io_.run_one() > 0) {
    }
    return result.value_or(absl::UnknownError("not called"));
  }
  boost::asio::io_context io_;
};

TEST_F(ConfigCheckTest, TellsAGoodFileFromABadOneAndFromNoAnswer) {
  EXPECT_TRUE(ask("0002-Reading configuration from /etc/bird/bird.conf\n0020 Configuration OK\n").ok());
  const absl::Status bad = ask("0002-Reading configuration from /b.conf\n8002 /b.conf:33:1 syntax error\n");
  EXPECT_EQ(bad.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(bad.message(), "/b.conf:33:1 syntax error");
  EXPECT_EQ(ask("8007 Access denied\n").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ask("").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ask().code(), absl::StatusCode::kUnavailable) << "no BIRD at all";
}

}  // namespace
}  // namespace anypop::bgpctl
