// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/top_page.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

// A look at a PoP that has forwarded `packets` of 100 bytes by now.
Look look(double at_s, std::uint64_t packets, const std::string& instance = "i1") {
  dataplane_api::State state{.instance = instance, .generation = 3};
  state.ports.push_back({.name = "up", .link_up = true, .rx_packets = packets + 7, .tx_packets = packets});
  state.services.push_back({.name = "web4", .vip = "198.51.100.1", .protocol = "tcp", .port = 80});
  state.services[0].backends = {{.name = "b1", .address = "10.0.0.1", .healthy = true, .resolved = true},
                                {.name = "b2", .address = "10.0.0.2", .healthy = false, .resolved = true},
                                {.name = "b3", .address = "10.0.0.3", .healthy = true, .resolved = false}};
  dataplane_api::Stats stats{.instance = instance,
                             .verdicts = {{"forward", packets}, {"drop_icmp", packets / 4}, {"drop_malformed", 0}}};
  stats.services = {{"web4", {{"b1", packets, packets * 100}, {"b2", 0, 0}}}};
  const dataplane_api::Heartbeat heartbeat{.instance = instance, .generation = 3, .workers = {{0, packets * 2, 0.5}}};
  return {
      at_s,
      {state, stats,
       boost::json::parse(
           R"({"announcements": [{"name": "web", "announce": true, "cause": "all is well", "exported_to": ["t1"]}]})")},
      heartbeat};
}

std::string page(const TopView& view, PageStyle style = {.width = 200}) {
  std::string out;
  for (const std::string& line : page_lines(view, style)) out += line + "\n";
  return out;
}

TEST(TopView, TurnsTwoLooksIntoRates) {
  const TopView view = make_view("ams", look(10, 1000), look(12, 5000));
  ASSERT_EQ(view.verdicts.size(), 2U) << "one that was never met is left out";
  EXPECT_EQ(view.verdicts[0].per_s, 2000);
  EXPECT_EQ(view.verdicts[0].total, 5000U);
  EXPECT_EQ(view.services.at(0).backends.at(0).packets.per_s, 2000);
  EXPECT_EQ(view.services[0].backends[0].bytes.per_s, 200'000);
  EXPECT_EQ(view.services[0].backends.at(2).packets.per_s, std::nullopt) << "the counters do not name it";
  EXPECT_EQ(view.ports.at(0).rx.per_s, 2000);
  EXPECT_EQ(view.workers.at(0).loops.per_s, 4000);
  EXPECT_TRUE(is_good(view));
  EXPECT_THAT(page(view), HasSubstr("all is well; exported to t1"));
  EXPECT_THAT(page(view), HasSubstr("80.0%"));
  EXPECT_THAT(page(view), HasSubstr("1.60M")) << "bits, not bytes";
  EXPECT_THAT(page(view), HasSubstr("####################"));
}

TEST(TopView, KnowsNoRateAcrossARestart) {
  for (const TopView& view :
       {make_view("ams", look(10, 1000), look(12, 5000, "i2")), make_view("ams", look(10, 9), look(10, 9)),
        make_view("ams", look(10, 5000), look(12, 1000))}) {
    EXPECT_EQ(view.verdicts.at(0).per_s, std::nullopt);
    EXPECT_EQ(view.services.at(0).backends.at(0).bytes.per_s, std::nullopt);
    EXPECT_EQ(view.ports.at(0).tx.per_s, std::nullopt);
    EXPECT_EQ(view.workers.at(0).loops.per_s, std::nullopt);
    EXPECT_THAT(boost::json::serialize(view_json(view)), HasSubstr(R"("per_s":null)"));
  }
}

TEST(TopView, SaysWhoDoesNotAnswer) {
  Look now = look(12, 5000);
  now.facts.monitor = unavailable("healthmon.sock: gone");
  TopView view = make_view("ams", look(10, 1000), now);
  EXPECT_FALSE(is_good(view));
  EXPECT_THAT(page(view), HasSubstr("monitor does not answer: healthmon.sock: gone"));
  EXPECT_THAT(page(view), HasSubstr("forward"));
  now.facts = {unavailable("no"), unavailable("no"), now.facts.monitor};
  now.heartbeat = unavailable("no");
  view = make_view("ams", look(10, 1000), now);
  EXPECT_THAT(page(view), HasSubstr("dataplane does not answer: no"));
  EXPECT_THAT(page(view), Not(HasSubstr("forward")));
  EXPECT_EQ(view_json(view).at("dataplane_error").as_string(), "no");
}

TEST(TopLines, FitTheScreenWhateverTheySay) {
  Look now = look(12, 5000);
  now.facts.monitor =
      boost::json::parse(R"({"announcements": [{"name": "a\u001b[31mb\n", "cause": "withdrawn", "announce": false}]})");
  const TopView view = make_view("ams", look(10, 1000), now);
  EXPECT_FALSE(is_good(view));
  for (const std::string& line : page_lines(view, {.width = 30})) {
    EXPECT_LE(line.size(), 30U);
    EXPECT_THAT(line, Not(testing::AnyOf(HasSubstr("\x1b"), HasSubstr("\n"))));
  }
  EXPECT_THAT(page(view, {.width = 200, .color = true}), HasSubstr("\x1b[31ma?[31mb?"));
}

}  // namespace
}  // namespace anypop::cli
