// SPDX-License-Identifier: Apache-2.0
#include "anypop_report/incidents.h"

#include <gtest/gtest.h>

namespace anypop::report {
namespace {

constexpr std::int64_t kMs = 1'000'000;

Event event(std::int64_t ms, EventKind kind, std::string object, bool level, std::string pop = "ams") {
  Event made{.unix_ns = ms * kMs, .pop = std::move(pop), .kind = kind, .object = std::move(object), .level = level};
  made.cause = "why";
  return made;
}

Event command(std::int64_t ms, bool announce, bool ok = true) {
  Event made = event(ms, EventKind::kCommand, "web", announce);
  made.sent_unix_ns = ms * kMs;
  made.replied_unix_ns = (ms + 1) * kMs;
  made.ok = ok;
  return made;
}

std::vector<Event> failover() {
  return {event(1000, EventKind::kBackend, "web/b1", false),
          event(1030, EventKind::kBackend, "web/b2", false),
          event(1031, EventKind::kVerdict, "web", false),
          command(1032, false),
          event(5000, EventKind::kBackend, "web/b1", true),
          event(5500, EventKind::kVerdict, "web", true),
          command(5502, true)};
}

TEST(Incidents, HasEachMomentOfAFailover) {
  const std::vector<Incident> found = find_incidents(failover());
  ASSERT_EQ(found.size(), 1);
  const Incident& incident = found[0];
  EXPECT_TRUE(incident.over());
  EXPECT_EQ(incident.pop, "ams");
  EXPECT_EQ(incident.announcement, "web");
  EXPECT_DOUBLE_EQ(*incident.between_ms(Moment::kSign, Moment::kVerdict), 31);
  EXPECT_DOUBLE_EQ(*incident.between_ms(Moment::kVerdict, Moment::kCommand), 1);
  EXPECT_DOUBLE_EQ(*incident.between_ms(Moment::kCommand, Moment::kReply), 1);
  EXPECT_DOUBLE_EQ(*incident.between_ms(Moment::kReply, Moment::kReturnReply), 4470);
  EXPECT_FALSE(incident.between_ms(Moment::kSign, Moment::kLastFailure).has_value());
}

TEST(Incidents, ASignThatWentAwayIsNone) {
  std::vector<Event> events = failover();
  events.insert(events.begin(),
                {event(10, EventKind::kDataplane, "", false), event(20, EventKind::kDataplane, "", true),
                 event(30, EventKind::kBackend, "dns/b9", false)});
  events[2].unix_ns = -100'000 * kMs;  // wrong for more than a minute
  EXPECT_DOUBLE_EQ(*find_incidents(events)[0].between_ms(Moment::kSign, Moment::kVerdict), 31);
}

TEST(Incidents, AnOperatorsOrderIsSignAndVerdict) {
  const std::vector<Event> events = {event(100, EventKind::kHold, "web", false), command(103, false),
                                     event(150, EventKind::kVerdict, "web", false)};
  const std::vector<Incident> found = find_incidents(events);
  ASSERT_EQ(found.size(), 1);
  EXPECT_FALSE(found[0].over());
  EXPECT_DOUBLE_EQ(*found[0].between_ms(Moment::kSign, Moment::kVerdict), 0);
  EXPECT_DOUBLE_EQ(*found[0].between_ms(Moment::kVerdict, Moment::kCommand), 3);
}

TEST(Incidents, ACommandThatFailedDidNotHappen) {
  const std::vector<Event> events = {event(100, EventKind::kVerdict, "web", false), command(101, false, false),
                                     command(1101, false)};
  EXPECT_DOUBLE_EQ(*find_incidents(events)[0].between_ms(Moment::kVerdict, Moment::kCommand), 1001);
}

TEST(Incidents, PopsAreToldApart) {
  const std::vector<Event> events = {event(100, EventKind::kVerdict, "web", false, "ams"),
                                     event(200, EventKind::kVerdict, "web", false, "fra")};
  const std::vector<Incident> found = find_incidents(events);
  ASSERT_EQ(found.size(), 2);
  EXPECT_EQ(found[0].pop, "ams");
  EXPECT_EQ(found[1].pop, "fra");
}

TEST(Incidents, CountsTheRequestsThatFailedMeanwhile) {
  std::vector<Incident> incidents = find_incidents(failover());
  const auto request = [](std::int64_t start_ms, std::int64_t end_ms, std::string error, bool moved = false) {
    return Request{.start_unix_ns = start_ms * kMs,
                   .end_unix_ns = end_ms * kMs,
                   .pop = "",
                   .error = std::move(error),
                   .moved = moved};
  };
  const std::vector<Request> requests = {request(500, 600, "refused"), request(990, 1490, "timeout"),
                                         request(1010, 1012, "reset"), request(1020, 1021, "reset", true),
                                         request(1100, 1101, ""),      request(9000, 9001, "refused")};
  count_requests(requests, incidents);
  EXPECT_EQ(incidents[0].failed_requests, 2);
  EXPECT_EQ(incidents[0].moved_requests, 1);
  EXPECT_DOUBLE_EQ(*incidents[0].between_ms(Moment::kSign, Moment::kLastFailure), 10);
}

TEST(Incidents, KnowsTheFaultAndTheLastClientThatRecovered) {
  std::vector<Incident> incidents = find_incidents(failover());
  const std::int64_t sign_ms = *incidents[0].at(Moment::kSign) / kMs;
  const std::vector<Mark> marks = {{(sign_ms - 90'000) * kMs, "fault"},
                                   {(sign_ms - 50) * kMs, "fault"},
                                   {(sign_ms - 20) * kMs, "repair"},
                                   {(sign_ms + 5000) * kMs, "fault"}};
  assign_faults(marks, incidents);
  const auto request = [&](const char* target, std::int64_t start_ms, std::string error) {
    return Request{.start_unix_ns = (sign_ms + start_ms) * kMs,
                   .end_unix_ns = (sign_ms + start_ms + 3) * kMs,
                   .target = target,
                   .pop = "",
                   .error = std::move(error)};
  };
  // v6 recovers last, although v4 failed last.
  count_requests(
      std::vector<Request>{request("v4", 1, "refused"), request("v6", 5, "refused"), request("v4", 8, "refused"),
                           request("v4", 10, ""), request("v6", 40, ""), request("v6", 60, "")},
      incidents);
  EXPECT_DOUBLE_EQ(*incidents[0].between_ms(Moment::kFault, Moment::kSign), 50);
  EXPECT_DOUBLE_EQ(*incidents[0].between_ms(Moment::kFault, Moment::kRecovered), 50 + 40 + 3);
  // A target that never answers again is not served.
  incidents = find_incidents(failover());
  count_requests(std::vector<Request>{request("v4", 1, "refused"), request("v6", 5, "refused"), request("v4", 10, "")},
                 incidents);
  EXPECT_FALSE(incidents[0].at(Moment::kRecovered));
}

TEST(Incidents, PercentilesAreOfWhatHappened) {
  std::vector<Incident> incidents(10);
  for (std::size_t i = 0; i < incidents.size(); ++i) {
    incidents[i].unix_ns[0] = 1;
    incidents[i].unix_ns[1] = 1 + static_cast<std::int64_t>(i + 1) * kMs;
  }
  const Percentiles found = percentiles(kSteps[0], incidents);
  EXPECT_EQ(found.count, 10);
  EXPECT_DOUBLE_EQ(found.least, 1);
  EXPECT_DOUBLE_EQ(found.median, 5);
  EXPECT_DOUBLE_EQ(found.p90, 9);
  EXPECT_DOUBLE_EQ(found.most, 10);
  EXPECT_EQ(percentiles(kSteps[3], incidents).count, 0);
}

}  // namespace
}  // namespace anypop::report
