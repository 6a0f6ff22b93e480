// SPDX-License-Identifier: Apache-2.0
#include "anypop_report/page.h"

#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anypop::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Report hostile_report() {
  Report report;
  report.title = "Failovers";
  std::vector<Event> events;
  read_events(
      R"({"unix_ns":1795195264000000000,"event":"backend","service":"web","backend":"<b1>","healthy":false,"cause":"\u0007"}
{"unix_ns":1795195264031000000,"event":"verdict","announcement":"web","announce":false,"cause":"<script>alert(1)</script>"}
{"unix_ns":1795195264032000000,"event":"command","announcement":"web","announce":false,"sent_unix_ns":1795195264031200000,"replied_unix_ns":1795195264031900000,"ok":true}
)",
      "ams\"", events);
  report.events = events;
  report.requests = {
      {.start_unix_ns = 1795195264010000000, .end_unix_ns = 1795195264011000000, .pop = "", .error = "reset"},
      {.start_unix_ns = 1795195264040000000, .end_unix_ns = 1795195264041000000, .pop = "<i>", .error = ""}};
  report.marks = {{1795195263990000000, "<fault>"}};
  report.begin_unix_ns = 1795195263000000000;
  report.end_unix_ns = 1795195265000000000;
  report.incidents = find_incidents(report.events);
  count_requests(report.requests, report.incidents);
  return report;
}

TEST(Page, ShowsEachStepAndNothingFromElsewhere) {
  const std::string page = to_html(hostile_report());
  EXPECT_THAT(page, HasSubstr("1 withdrawal, 1 not over yet."));
  EXPECT_THAT(page, HasSubstr("<td>sign to verdict</td><td class=\"n\">1</td><td class=\"n\">31.0 ms</td>"));
  EXPECT_THAT(page, HasSubstr("<td>&lt;fault&gt;</td>"));
  EXPECT_THAT(page, HasSubstr("1 requests failed"));
  EXPECT_THAT(page, Not(HasSubstr("http")));
}

TEST(Page, WhatOthersWroteIsText) {
  const std::string page = to_html(hostile_report());
  for (const char* raw : {"<script", "<b1>", "<i>", "<fault>", "\a"}) EXPECT_THAT(page, Not(HasSubstr(raw)));
}

TEST(Page, OfNothingSaysSo) {
  Report report;
  report.begin_unix_ns = 1;
  report.end_unix_ns = 1;
  EXPECT_THAT(to_html(report), HasSubstr("No announcement was withdrawn"));
  EXPECT_THAT(to_text(report), HasSubstr("No announcement was withdrawn"));
}

TEST(Page, TextAndJsonSayTheSame) {
  const Report report = hostile_report();
  EXPECT_THAT(to_text(report), HasSubstr("verdict to command"));
  EXPECT_THAT(boost::json::serialize(to_json(report)), HasSubstr("\"sign to verdict\":3.1E1"));
}

}  // namespace
}  // namespace anypop::report
