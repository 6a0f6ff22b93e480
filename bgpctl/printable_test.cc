// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/printable.h"

#include <gtest/gtest.h>

namespace anypop::bgpctl {
namespace {

TEST(Printable, WhatPeopleWriteStaysAsItIs) {
  for (const char* text : {"", "BIRD's \"socket\"", "found '500'", "C:\\x", "Zürich: 設定 🙂", "a~b"}) {
    EXPECT_EQ(printable(text), text);
  }
}

TEST(Printable, NothingMovesTheCursor) {
  EXPECT_EQ(printable("a\x1b[2Jb\n\x7f"), "a\\x1b[2Jb\\x0a\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b2J")
      << "the same control in UTF-8";
}

TEST(Printable, BytesThatAreNoUtf8AreShownAsSuch) {
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xc3"), "\\xc3") << "cut off";
  EXPECT_EQ(printable("\xc0\x9b"), "\\xc0\\x9b") << "an escape in two bytes";
  EXPECT_EQ(printable("\xe0\x80\x9b"), "\\xe0\\x80\\x9b") << "and in three";
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
}

}  // namespace
}  // namespace anypop::bgpctl
