// SPDX-License-Identifier: Apache-2.0
#include "reply.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/atomic_file.h"

namespace anypop::bgpctl {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Reply> parse(std::string_view bytes) {
  ReplyParser parser;
  std::vector<Reply> replies;
  EXPECT_TRUE(parser.feed(bytes, replies).ok());
  return replies;
}

TEST(ReplyParser, ContinuesTheCodeOfTheLineBefore) {
  EXPECT_THAT(parse("0009-a: disabled\n b: disabled\n0008-c: already disabled\n0000 \n"),
              ElementsAre(Reply{{{9, "a: disabled"}, {9, "b: disabled"}, {8, "c: already disabled"}, {0, ""}}}));
  EXPECT_THAT(parse("0023 2\r\n0000 \n"), ElementsAre(Reply{{{23, "2"}}}, Reply{{{0, ""}}}));
}

TEST(ReplyParser, AnErrorBeforeAGoodLastLineIsAnError) {
  const auto replies = parse("0015-a: reloading\n8006-x: reload failed\n0000 \n");
  ASSERT_EQ(replies.size(), 1U);
  ASSERT_NE(replies[0].error(), nullptr);
  EXPECT_EQ(*replies[0].error(), (ReplyLine{8006, "x: reload failed"}));
  EXPECT_EQ(parse("0004 Reconfiguration in progress\n")[0].error(), nullptr);
}

TEST(ReplyParser, PassesOverWhatBelongsToNoReply) {
  EXPECT_THAT(parse("+Disabling protocol a\n0009-a: disabled\n+0000 not a reply\n<12 messages lost>\n\n b\n00x0 c\n"
                    "0000 \n continues nothing\n"),
              ElementsAre(Reply{{{9, "a: disabled"}, {9, "b"}, {0, ""}}}));
  EXPECT_THAT(parse(std::string_view("\0\0\0\xff\n0000\n123 x\n", 16)), IsEmpty());
}

TEST(ReplyParser, DoesNotDependOnHowTheBytesAreCut) {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(ANYPOP_TESTDATA)) {
    if (!entry.is_regular_file()) continue;
    ++files;
    const std::string bytes = *read_file(entry.path());
    const std::vector<Reply> whole = parse(bytes);
    EXPECT_EQ(whole.size(), 1U) << entry.path();
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
      ReplyParser parser;
      std::vector<Reply> replies;
      ASSERT_TRUE(parser.feed(std::string_view(bytes).substr(0, cut), replies).ok());
      ASSERT_TRUE(parser.feed(std::string_view(bytes).substr(cut), replies).ok());
      ASSERT_EQ(replies, whole) << entry.path() << " cut at " << cut;
    }
  }
  EXPECT_GE(files, 28);
}

TEST(ReplyParser, RefusesWhatWouldGrowIt) {
  std::vector<Reply> replies;
  EXPECT_EQ(ReplyParser().feed(std::string(ReplyParser::kLineMaxBytes + 1, 'x'), replies).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReplyParser().feed("+" + std::string(ReplyParser::kLineMaxBytes, 'x') + "\n", replies).code(),
            absl::StatusCode::kResourceExhausted);
  ReplyParser parser(1000);
  absl::Status status = parser.feed("1007-x\n", replies);
  int lines = 1;
  for (; status.ok() && lines < 1000; ++lines) status = parser.feed(" \n", replies);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_LT(lines, 30) << "empty lines cost memory too";
  EXPECT_THAT(replies, IsEmpty());
}

TEST(ReplyParser, CountsEachReplyAnew) {
  ReplyParser parser(200);
  std::vector<Reply> replies;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(parser.feed("0009-a: disabled\n0000 \n", replies).ok());
  EXPECT_EQ(replies.size(), 100U);
}

}  // namespace
}  // namespace anypop::bgpctl
