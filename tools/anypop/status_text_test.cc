// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/status_text.h"

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

PopFacts serving() {
  dataplane_api::State state;
  state.services.push_back({.name = "web4", .vip = "198.51.100.1", .protocol = "tcp", .port = 80});
  state.services[0].backends.push_back({.name = "b1",
                                        .address = "10.0.0.1",
                                        .healthy = true,
                                        .resolved = true,
                                        .mac = "02:00:00:00:00:01",
                                        .slots = 300});
  state.services[0].backends.push_back({.name = "b2", .address = "10.0.0.2", .healthy = false, .resolved = false});
  dataplane_api::Stats stats;
  stats.verdicts = {{"forward", 12}, {"drop_malformed", 0}};
  stats.services = {{"web4", {{"b1", 12, 768}, {"b2", 0, 0}}}};
  return {state, stats, boost::json::parse(R"({
    "announcements": [{"name": "web", "announce": true, "cause": "every service works", "exported_to": ["t1", "t2"]}],
    "services": [{"name": "web4", "backends": [{"name": "b2", "cause": "connection refused"}]}]})")};
}

PopConfig config() {
  PopConfig config;
  config.pop = "ams";
  return config;
}

TEST(StatusText, TellsWhatIsAnnouncedWhyAndToWhom) {
  const std::string page = status_text(config(), serving());
  EXPECT_THAT(page, HasSubstr("every service works"));
  EXPECT_THAT(page, HasSubstr("exported to t1, t2"));
  EXPECT_THAT(page, HasSubstr("100.0 % of new flows"));
  EXPECT_THAT(page, HasSubstr("no MAC known  connection refused"));
  EXPECT_THAT(page, HasSubstr("forward 12"));
  EXPECT_THAT(page, Not(HasSubstr("drop_malformed")));
  EXPECT_TRUE(is_good(serving()));
}

TEST(StatusText, SaysWhichDaemonDoesNotAnswer) {
  PopFacts facts = serving();
  facts.monitor = unavailable("/run/anypop/healthmon.sock: Connection refused");
  EXPECT_THAT(status_text(config(), facts),
              HasSubstr("monitor does not answer: /run/anypop/healthmon.sock: Connection refused"));
  EXPECT_FALSE(is_good(facts));
  facts.dataplane = unavailable("gone");
  EXPECT_THAT(status_text(config(), facts), HasSubstr("dataplane does not answer: gone"));
}

TEST(StatusText, AWithdrawnAnnouncementIsNotGood) {
  PopFacts facts = serving();
  facts.monitor = boost::json::parse(R"({"announcements": [{"name": "web", "announce": false, "cause": "held out"}]})");
  EXPECT_THAT(status_text(config(), facts), HasSubstr("withdrawn  held out"));
  EXPECT_FALSE(is_good(facts));
}

TEST(StatusText, ToleratesAMonitorThatSaysSomethingElse) {
  PopFacts facts = serving();
  for (const char* text : {"[]", "3", R"({"announcements": 1, "services": [1, {"name": 2}]})"}) {
    facts.monitor = boost::json::parse(text);
    EXPECT_THAT(status_text(config(), facts), HasSubstr("PoP ams"));
  }
}

}  // namespace
}  // namespace anypop::cli
