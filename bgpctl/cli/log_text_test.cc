// SPDX-License-Identifier: Apache-2.0
#include "log_text.h"

#include <gmock/gmock.h>

namespace anypop::bgpctl {
namespace {

using testing::EndsWith;

std::string shown(const std::string& more) {
  const auto event = parse_event(R"({"time":"x","unix_ns":1,"by":"bgpctl",)" + more + "}");
  EXPECT_TRUE(event.has_value()) << more;
  return event ? event_line(*event, [](std::int64_t) { return "T"; }) : "";
}

TEST(LogText, SaysWhatHappenedToWhatAndWhy) {
  EXPECT_EQ(
      shown(R"("event":"verdict","announcement":"web","announce":false,"level":"withdrawn","cause":"no backend")"),
      "T  bgpctl     verdict    web: withdrawn: no backend");
  EXPECT_EQ(shown(R"("event":"backend","service":"web4","backend":"b1","healthy":false,"cause":"refused")"),
            "T  bgpctl     backend    web4/b1: unhealthy: refused");
  EXPECT_EQ(shown(R"("event":"dataplane","alive":true,"cause":"")"), "T  bgpctl     dataplane  alive");
  EXPECT_EQ(shown(R"("event":"hold","announcement":"web","kind":"withdraw","who":"alice","reason":"ticket 42",)"
                  R"("placed_unix_ms":1000,"expires_unix_ms":1801000)"),
            "T  bgpctl     hold       web: withdraw by alice for 30 min: ticket 42");
  EXPECT_EQ(shown(R"("event":"release","announcement":"web","kind":"drain","who":"bob","placed_by":"alice",)"
                  R"("reason":"x","expires_unix_ms":null)"),
            "T  bgpctl     release    web: drain by bob: x (placed by alice)");
  EXPECT_EQ(shown(R"("event":"command","announcement":"web","level":"drained","sent_unix_ns":1000000,)"
                  R"("replied_unix_ns":3500000,"ok":true,"error":"","cause":"by hand")"),
            "T  bgpctl     command    web: drained, BIRD took 2.5 ms: by hand");
  EXPECT_EQ(shown(R"("event":"command","announcement":"web","level":"withdrawn","ok":false,"error":"no BIRD")"),
            "T  bgpctl     command    web: withdrawn, failed: no BIRD");
  EXPECT_EQ(shown(R"("event":"drift","announcement":"web","intended":"withdrawn","found":"in the table")"),
            "T  bgpctl     drift      web: should be withdrawn, found in the table");
  EXPECT_EQ(shown(R"("event":"drain","announcement":"web","ended":"quiet","waited_s":12.34,"pps":2.0)"),
            "T  bgpctl     drain      web: ended by quiet after 12.3 s");
}

TEST(LogText, WhatTheMonitorDoesIsASentence) {
  EXPECT_THAT(shown(R"("event":"start","pop":"ams","version":"0.1.0")"),
              EndsWith("  the monitor started, version 0.1.0"));
  EXPECT_THAT(shown(R"("event":"reload","ok":true,"error":"")"), EndsWith("  another pop.yaml is in force"));
  EXPECT_THAT(shown(R"("event":"reload","ok":false,"error":"pop.yaml:4: found '500'")"),
              EndsWith("  pop.yaml is refused, nothing changed: pop.yaml:4: found '500'"));
  EXPECT_THAT(shown(R"("event":"forgive","announcement":"web","flaps":3,"latched":false)"),
              EndsWith("  web: its flaps are forgiven: no hold-down, no latch"));
  EXPECT_THAT(shown(R"("event":"latch","announcement":"web","latched":true,"flaps":9)"),
              EndsWith("  web: has flapped too often and stays out"));
  EXPECT_THAT(shown(R"("event":"last-announcer","announcement":"web","kept":true,"cause":"c")"),
              EndsWith("  web: kept in spite of a fault, nobody else announces it: c"));
  EXPECT_THAT(shown(R"("event":"panic","service":"web4","panic":false,"cause":"c")"),
              EndsWith("  web4: enough backends are healthy again: c"));
  EXPECT_THAT(shown(R"("event":"bird-config","good":false,"cause":"BIRD's words")"),
              EndsWith("  BIRD would not take its configuration: BIRD's words"));
  EXPECT_THAT(shown(R"("event":"drain-backend","service":"web4","backend":"b1","who":"alice","reason":"disk")"),
              EndsWith("  web4/b1: gets no new flows by alice: disk"));
}

TEST(LogText, WhatHappensToBirdAndItsSessionsIsASentence) {
  EXPECT_THAT(shown(R"("event":"bird","reachable":false,"cause":"no answer in time")"),
              EndsWith("  BIRD does not answer: no answer in time"));
  EXPECT_THAT(shown(R"("event":"bird","reachable":true,"version":"2.0.12")"), EndsWith("  BIRD 2.0.12 answers"));
  EXPECT_THAT(shown(R"("event":"bird-restart","last_reboot":"12:00:01")"),
              EndsWith("  BIRD was restarted, at 12:00:01"));
  EXPECT_THAT(shown(R"("event":"bird-configure","last_reconfiguration":"12:00:02","count":1)"),
              EndsWith("  somebody had BIRD read its configuration again, last at 12:00:02"));
  EXPECT_THAT(shown(R"("event":"bird-configure","last_reconfiguration":"12:00:02","count":7)"),
              EndsWith("  somebody had BIRD read its configuration again, at least 7 times, last at 12:00:02"));
  EXPECT_THAT(shown(R"("event":"session","session":"r1_v4","established":false,"cause":"Hold timer expired")"),
              EndsWith("  BGP session r1_v4 is down: Hold timer expired"));
  EXPECT_THAT(shown(R"("event":"session","session":"r1_v4","established":true,"cause":"x")"),
              EndsWith("  BGP session r1_v4 is established"));
  EXPECT_THAT(shown(R"("event":"link","port":"eth0","up":false)"), EndsWith("  port eth0 has no link"));
  EXPECT_THAT(shown(R"("event":"hold-file","announcement":"web","readable":false,"cause":"c")"),
              EndsWith("  web: cannot be read, the order in force stays: c"));
  EXPECT_THAT(shown(R"("event":"first-round")"),
              EndsWith("  everything has been asked once, from now on health decides"));
}

TEST(LogText, AnUnknownEventIsShownAsItIs) {
  EXPECT_EQ(shown(R"("event":"new","announcement":"web","a":1,"b":"x")"), "T  bgpctl     new        web: a=1 b=x");
}

TEST(LogText, NothingInALineReachesTheTerminalUnescaped) {
  const std::string text =
      shown(R"("event":"hold","announcement":"w\u001b[2J","kind":"a\nb","who":"\u0007","reason":"\u001b]0;x")");
  for (const char c : text) EXPECT_GE(static_cast<unsigned char>(c), ' ') << text;
}

TEST(LogText, WhatIsNoEventIsPassedOver) {
  for (const char* line : {"", "{}", "[]", "{\"event\":\"x\"}", "{\"unix_ns\":1}", "{\"event\":1,\"unix_ns\":1}",
                           "{\"ev", "{\"event\":\"x\",\"unix_ns\":-5}"}) {
    EXPECT_FALSE(parse_event(line).has_value()) << line;
  }
}

TEST(LogText, AFilterKeepsWhatConcernsAnAnnouncement) {
  AnnouncementConfig web;
  web.name = "web";
  web.services = {"web4"};
  const EventFilter filter({web});
  const auto wants = [&](const std::string& more) {
    return filter.wants(*parse_event(R"({"unix_ns":1,)" + more + "}"));
  };
  EXPECT_TRUE(wants(R"("event":"hold","announcement":"web")"));
  EXPECT_FALSE(wants(R"("event":"hold","announcement":"dns")"));
  EXPECT_TRUE(wants(R"("event":"backend","service":"web4","backend":"b1")"));
  EXPECT_FALSE(wants(R"("event":"backend","service":"dns4","backend":"b1")"));
  EXPECT_TRUE(wants(R"("event":"dataplane","alive":false)"));
  EXPECT_TRUE(EventFilter({}).wants(*parse_event(R"({"unix_ns":1,"event":"hold","announcement":"dns"})")));
}

}  // namespace
}  // namespace anypop::bgpctl
