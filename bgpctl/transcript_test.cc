// SPDX-License-Identifier: Apache-2.0
// Whole sessions with BIRD 2.0.12, 2.19.2 and 3.3.2, as they were recorded (transcripts/): every command one reply, and
// success or failure by its codes alone.
#include <algorithm>
#include <fstream>
#include <map>

#include <gmock/gmock.h>

#include "reply.h"

namespace anypop::bgpctl {
namespace {

struct Exchange {
  std::string command;
  std::string bytes;  // as they came
};

std::vector<Exchange> read_transcript(const std::string& version) {
  std::ifstream file(std::string(ANYPOP_TRANSCRIPTS) + "/" + version + ".txt");
  std::vector<Exchange> exchanges;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("C: ")) exchanges.push_back({line.substr(3), ""});
    if (line.starts_with("S: ") && !exchanges.empty()) exchanges.back().bytes += line.substr(3) + "\n";
  }
  return exchanges;
}

class Transcript : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    exchanges_ = read_transcript(GetParam());
    ASSERT_GT(exchanges_.size(), 40U);
  }
  std::vector<Exchange> exchanges_;
};

TEST_P(Transcript, EveryCommandHasOneReply) {
  std::string all;
  std::vector<Reply> one_by_one;
  for (const Exchange& exchange : exchanges_) {
    std::vector<Reply> replies;
    ASSERT_TRUE(ReplyParser().feed(exchange.bytes, replies).ok()) << exchange.command;
    ASSERT_EQ(replies.size(), 1U) << exchange.command << "\n" << exchange.bytes;
    one_by_one.push_back(replies[0]);
    all += exchange.bytes;
  }
  std::vector<Reply> together;
  ASSERT_TRUE(ReplyParser().feed(all, together).ok());
  EXPECT_EQ(together, one_by_one);
}

TEST_P(Transcript, SuccessIsACodeAndNotAWord) {
  std::map<int, int> seen;  // how often which last code
  for (const Exchange& exchange : exchanges_) {
    std::vector<Reply> replies;
    ASSERT_TRUE(ReplyParser().feed(exchange.bytes, replies).ok());
    const Reply& reply = replies.at(0);
    ++seen[reply.lines.back().code];
    const bool failed = exchange.bytes.find("\n8") != std::string::npos || exchange.bytes.starts_with("8") ||
                        exchange.bytes.find("\n9") != std::string::npos || exchange.bytes.starts_with("9");
    EXPECT_EQ(reply.error() != nullptr, failed) << exchange.command << "\n" << exchange.bytes;
  }
  // What BIRD 3 nearly always answers to `configure`, and the others when a protocol has to go first.
  EXPECT_GT(seen[4], 0) << "no 0004 Reconfiguration in progress";
  if (GetParam() == std::string("2.0.12")) {
    EXPECT_GT(seen[5], 0) << "no 0005: another configuration waits for the one under way";
    EXPECT_GT(seen[17], 0) << "no 0017: that one is dropped by `configure undo`";
  }
  EXPECT_GT(seen[8002], 0) << "no 8002: a broken bird.conf";
  EXPECT_GT(seen[8003], 0) << "no 8003: an unknown protocol";
}

INSTANTIATE_TEST_SUITE_P(Versions, Transcript, testing::Values("2.0.12", "2.19.2", "3.3.2"), [](const auto& param) {
  std::string name = param.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

}  // namespace
}  // namespace anypop::bgpctl
