// SPDX-License-Identifier: Apache-2.0
// Each case does what its name says. How fast is no test's business.
#include <algorithm>
#include <set>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "anypop_bench/command.h"

namespace anypop::bench {
namespace {

using testing::HasSubstr;

TEST(Spread, TakesTheMiddleAndTheTenths) {
  std::vector<double> values;
  for (int i = 100; i >= 0; --i) values.push_back(i);
  const Spread spread = spread_of(values);
  EXPECT_EQ(spread.p10, 10);
  EXPECT_EQ(spread.median, 50);
  EXPECT_EQ(spread.p90, 90);
  EXPECT_EQ(spread_of({}).median, 0);
  EXPECT_EQ(spread_of({7}).p90, 7);
}

TEST(Cases, HaveNamesOfTheirOwn) {
  for (const bool full : {false, true}) {
    std::set<std::string> names;
    for (const Case& one : make_cases(full)) {
      EXPECT_TRUE(names.insert(one.group + one.name).second) << one.group << " / " << one.name;
      EXPECT_EQ(one.traffic.services, one.services.services) << one.name;
      EXPECT_EQ(one.traffic.family, one.services.family) << one.name;
    }
  }
}

// Every axis that somebody may ask about, by itself.
TEST(Cases, CoverWhatAPopCanBe) {
  const std::vector<Case> cases = make_cases(true);
  const auto some = [&](const auto& wanted) { return std::ranges::any_of(cases, wanted); };
  for (const Family family : {Family::kV4, Family::kV6}) {
    const auto have = [&](const auto& wanted) {
      return some([&](const Case& one) { return one.traffic.family == family && wanted(one); });
    };
    for (const std::size_t flows : {1U, 1000U, 100'000U, 1'000'000U, 10'000'000U}) {
      for (const bool zipf : {false, true}) {
        if (flows == 1 && zipf) continue;
        EXPECT_TRUE(have([&](const Case& one) { return one.traffic.flows == flows && one.traffic.zipf == zipf; }))
            << flows << zipf;
      }
    }
    for (const Family outer : {Family::kV4, Family::kV6}) {
      for (const Forwarding forwarding : {Forwarding::kIpip, Forwarding::kGre, Forwarding::kGue}) {
        EXPECT_TRUE(have([&](const Case& one) {
          return one.services.forwarding == forwarding && one.services.outer == outer;
        })) << forwarding_name(forwarding);
      }
    }
    EXPECT_TRUE(have([](const Case& one) { return one.services.forwarding == Forwarding::kL2; }));
    for (const Track track : {Track::kNever, Track::kChanges, Track::kAlways})
      EXPECT_TRUE(have([&](const Case& one) { return one.services.track == track && one.traffic.flows == 1'000'000; }));
    for (const Change change : {Change::kFailure, Change::kReturn, Change::kEveryone})
      EXPECT_TRUE(have([&](const Case& one) { return one.change == change; })) << change_name(change);
    for (const std::size_t backends : {1U, 10U, 100U, 1000U, 4096U})
      EXPECT_TRUE(have([&](const Case& one) { return one.services.backends == backends; })) << backends;
    for (const std::size_t services : {1U, 10U, 100U, 500U, 1000U})
      EXPECT_TRUE(have([&](const Case& one) { return one.services.services == services; })) << services;
    EXPECT_TRUE(have([](const Case& one) { return one.traffic.kind == l4lb_bench::Kind::kSyn; }));
    EXPECT_TRUE(have([](const Case& one) { return one.by_stage; }));
  }
}

// Fewer flows and backends, so that it is quick under sanitizers; measure() checks every packet's verdict.
Case small(Case one) {
  one.traffic.flows = std::min<std::size_t>(one.traffic.flows, 5000);
  one.traffic.packets_min = 8192;
  one.services.backends = std::min<std::size_t>(one.services.backends, 20);
  if (one.services.own_pools) one.traffic.services = one.services.services = 5;
  return one;
}

TEST(Cases, SendEveryPacketTheWayTheyMean) {
  for (const Case& one : make_cases(false)) {
    const auto result = measure(small(one), std::chrono::milliseconds(1));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_GT(result->receive_ns, 0) << one.name;
    EXPECT_GT(result->cpu_share, 0) << one.name;
    EXPECT_LT(result->cpu_share, 1.1) << one.name;
    EXPECT_EQ(result->stage_ns.has_value(), one.by_stage) << one.name;
  }
}

// Otherwise they would measure packets that nobody looks up.
TEST(Cases, ThatAreAboutAChangeTrackWhatItMoves) {
  for (const Case& one : make_cases(false)) {
    if (one.traffic.flows < 1000) continue;
    const auto result = measure(small(one), std::chrono::milliseconds(1));
    ASSERT_TRUE(result.ok()) << result.status();
    const bool always = one.services.track == Track::kAlways && expected_verdict(one) == l4lb::Verdict::kForward;
    if (always || one.change == Change::kEveryone) {
      EXPECT_GT(result->tracked, 0.99) << one.name;
    } else if (one.change == Change::kReturn) {
      EXPECT_NEAR(result->tracked, 0.1, 0.03) << one.name;
    } else {
      EXPECT_LT(result->tracked, 0.02) << one.name;
    }
  }
}

TEST(Traffic, IsLargerThanTheCaches) {
  for (const std::size_t flows : {std::size_t{1}, std::size_t{1000}})
    EXPECT_GE(l4lb_bench::make_traffic({.flows = flows}).headers.size(), std::size_t{64} << 20U);
}

TEST(Measure, SaysWhenPacketsGoAnotherWay) {
  Case one{.group = "a", .name = "b"};
  one.situation = Situation::kNobody;
  one.services.services = 1;
  one.traffic.to_vips = false;
  const auto result = measure(one, std::chrono::milliseconds(1));
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("packets were not 'drop_no_backend'"));
}

TEST(Report, SaysWhenTheRunWasDisturbed) {
  Measured one{.what = {.group = "flows", .name = "v4"}, .result = {.ns = 10, .cpu_share = 0.999}};
  EXPECT_THAT(table({}, {one}), HasSubstr("100.0"));  // Mpps
  EXPECT_THAT(table({}, {one}), testing::Not(HasSubstr("something else ran")));
  one.result.p10 = 10;
  one.result.p90 = 13;
  EXPECT_THAT(table({}, {one}), HasSubstr("something else ran")) << "a wide spread";
  one.result.p90 = 10;
  one.result.cpu_share = 0.5;
  EXPECT_THAT(table({}, {one}), HasSubstr("something else ran"));
  const auto parsed = boost::json::parse(json({}, {one}));
  EXPECT_EQ(parsed.at("results").at(0).at("cpu_share").to_number<double>(), 0.5);
  EXPECT_EQ(parsed.at("results").at(0).at("mpps").to_number<double>(), 100);
}

}  // namespace
}  // namespace anypop::bench
