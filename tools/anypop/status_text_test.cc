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

TEST(StatusText, SaysWhatHoldsItAndHowLong) {
  PopFacts facts = serving();
  facts.monitor = boost::json::parse(R"({"bird": {"reachable": true, "version": "2.0.12", "sessions":
      [{"name": "t1", "established": false}]}, "announcements": [{"name": "web", "announce": true, "level": "drained",
      "cause": "held", "hold_down_remaining_ms": 2500, "problem": "exported to nobody", "hold":
      {"kind": "drain", "who": "alice", "reason": "disk swap", "expires_unix_ms": 1800000000000}}]})");
  const std::string page = status_text(config(), facts);
  EXPECT_THAT(page, HasSubstr("drained    held"));
  EXPECT_THAT(page, HasSubstr("  drain hold by alice: disk swap, until 2027-01-15 08:00 UTC\n"));
  EXPECT_THAT(page, HasSubstr("  may return in 2.5 s\n  exported to nobody\n"));
  EXPECT_THAT(page, HasSubstr("BIRD 2.0.12  session t1 DOWN\n"));
}

TEST(StatusText, ColoursAreWordsToo) {
  PopFacts facts = serving();
  const std::string plain = status_text(config(), facts, false);
  EXPECT_THAT(plain, Not(HasSubstr("\x1b")));
  std::string coloured = status_text(config(), facts, true);
  EXPECT_THAT(coloured, HasSubstr("\x1b[32mannounced \x1b[0m"));
  for (const char* sequence : {"\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"}) {
    for (std::size_t at = 0; (at = coloured.find(sequence)) != std::string::npos;) {
      coloured.erase(at, std::string_view(sequence).size());
    }
  }
  EXPECT_EQ(coloured, plain);
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
