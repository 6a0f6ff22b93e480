// SPDX-License-Identifier: Apache-2.0
#include "anypop_report/records.h"

#include <gtest/gtest.h>

namespace anypop::report {
namespace {

TEST(Records, ReadsEventsAsTheLogHasThem) {
  std::vector<Event> events;
  const Skipped skipped = read_events(
      R"({"unix_ns":5,"by":"healthmon","event":"backend","service":"web","backend":"b1","healthy":false,"cause":"refused"}
{"unix_ns":6,"event":"command","announcement":"web","announce":false,"sent_unix_ns":7,"replied_unix_ns":8,"ok":true,"error":""}
{"unix_ns":9,"event":"hold","announcement":"web","kind":"withdraw","who":"ann","reason":"works"}
)",
      "ams", events);
  EXPECT_EQ(skipped.lines, 0);
  ASSERT_EQ(events.size(), 3);
  EXPECT_EQ(events[0].kind, EventKind::kBackend);
  EXPECT_EQ(events[0].object, "web/b1");
  EXPECT_EQ(events[0].level, false);
  EXPECT_EQ(events[0].cause, "refused");
  EXPECT_EQ(events[0].pop, "ams");
  EXPECT_EQ(events[1].sent_unix_ns, 7);
  EXPECT_EQ(events[1].replied_unix_ns, 8);
  EXPECT_EQ(events[2].level, false);
  EXPECT_EQ(events[2].cause, "works");
}

TEST(Records, PassesOverWhatIsCutOffOrMeansNothing) {
  std::vector<Event> events;
  const Skipped skipped = read_events(
      "{\"unix_ns\":5,\"event\":\"start\"}\n[1]\n{\"event\":\"x\"}\n{\"unix_ns\":\"5\",\"ev", "ams", events);
  EXPECT_EQ(skipped.lines, 3);
  EXPECT_EQ(events.size(), 1);
}

TEST(Records, ReadsRequests) {
  std::vector<Request> requests;
  const Skipped skipped = read_requests(
      "{\"start_unix_ns\":5,\"end_unix_ns\":9,\"pop\":\"ams\",\"error\":\"\"}\n"
      "{\"start_unix_ns\":6,\"end_unix_ns\":9,\"pop\":\"\",\"error\":\"reset\",\"moved\":true}\n"
      "{\"start_unix_ns\":6,\"end_unix_ns\":1}\n",
      requests);
  EXPECT_EQ(skipped.lines, 1);
  ASSERT_EQ(requests.size(), 2);
  EXPECT_EQ(requests[0].pop, "ams");
  EXPECT_TRUE(requests[1].moved);
}

}  // namespace
}  // namespace anypop::report
