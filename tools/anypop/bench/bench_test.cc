// SPDX-License-Identifier: Apache-2.0
// Each case does what its name says. How fast is no test's business.
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
    EXPECT_GT(names.size(), full ? 50U : 25U);
  }
}

// Fewer flows and backends, so that it is quick under sanitizers; measure() checks every packet's verdict.
TEST(Cases, SendEveryPacketTheWayTheyMean) {
  for (Case one : make_cases(false)) {
    one.traffic.flows = std::min<std::size_t>(one.traffic.flows, 5000);
    one.services.backends = std::min<std::size_t>(one.services.backends, 20);
    if (one.services.own_pools) one.traffic.services = one.services.services = 5;
    const auto result = measure(one, std::chrono::milliseconds(1));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_GT(result->receive_ns, 0) << one.name;
    EXPECT_GT(result->cpu_share, 0) << one.name;
    EXPECT_LT(result->cpu_share, 1.1) << one.name;
  }
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
  one.result.cpu_share = 0.5;
  EXPECT_THAT(table({}, {one}), HasSubstr("something else ran"));
  const auto parsed = boost::json::parse(json({}, {one}));
  EXPECT_EQ(parsed.at("results").at(0).at("cpu_share").to_number<double>(), 0.5);
  EXPECT_EQ(parsed.at("results").at(0).at("mpps").to_number<double>(), 100);
}

}  // namespace
}  // namespace anypop::bench
