// SPDX-License-Identifier: Apache-2.0
#include "healthmon/backend_probes.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace anypop::healthmon {
namespace {

using namespace std::chrono_literals;

// One letter a result: upper case good, lower case bad, the letter is the probe. One letter a verdict: ? U D.
std::string timeline(std::size_t probes, unsigned needed, const std::string& results) {
  const std::vector<ProbeConfig> configs(probes, ProbeConfig{.rise = 1, .fall = 1});
  BackendProbes backend(configs, needed);
  std::string verdicts;
  for (const char c : results) {
    const bool ok = c >= 'A' && c <= 'Z';
    backend.add(static_cast<std::size_t>(c - (ok ? 'A' : 'a')), {.ok = ok}, 0);
    verdicts += "?UD"[static_cast<int>(backend.health())];
  }
  return verdicts;
}

TEST(BackendProbes, AllAnyAndSomeOfThem) {
  EXPECT_EQ(timeline(1, 0, "AaA"), "UDU");
  EXPECT_EQ(timeline(2, 0, "ABaA"), "?UDU") << "all: good only when both are known";
  EXPECT_EQ(timeline(2, 0, "bA"), "DD") << "all: one that is bad is enough";
  EXPECT_EQ(timeline(2, 1, "aBb"), "?UD") << "any: bad only when both are";
  EXPECT_EQ(timeline(3, 2, "AbCcC"), "??UDU");
  EXPECT_EQ(timeline(3, 2, "abC"), "?DD");
}

TEST(BackendProbes, ACauseNamesWhatIsBad) {
  const std::vector<ProbeConfig> configs = {{.name = "http", .rise = 1, .fall = 1},
                                            {.name = "dns", .rise = 1, .fall = 1}};
  BackendProbes backend(configs, 0);
  EXPECT_EQ(backend.cause(), "0 of 2 probes good, 2 needed (http: not probed yet; dns: not probed yet)");
  backend.add(0, {true, "HTTP 200"}, 0);
  backend.add(1, {false, "SERVFAIL, expected NOERROR"}, 0);
  EXPECT_EQ(backend.cause(), "1 of 2 probes good, 2 needed (dns: SERVFAIL, expected NOERROR)");
  backend.add(1, {true, "NOERROR"}, 0);
  EXPECT_EQ(backend.cause(), "2 of 2 probes good, 2 needed");
  EXPECT_EQ(backend.records()[1].succeeded, 1U);
  EXPECT_EQ(backend.records()[1].failed, 1U);
  const std::vector<ProbeConfig> one(1);
  BackendProbes alone(one, 1);
  alone.add(0, {false, "timeout"}, 0);
  EXPECT_EQ(alone.cause(), "timeout");
}

TEST(BackendProbes, TheIntervalFollowsTheHealth) {
  const std::vector<ProbeConfig> configs = {
      {.interval_ms = 1000, .fast_interval_ms = 100, .down_interval_ms = 5000, .rise = 2, .fall = 2}};
  BackendProbes backend(configs, 1);
  const auto after = [&](bool ok) {
    backend.add(0, {.ok = ok}, 0);
    return backend.interval(0);
  };
  EXPECT_EQ(backend.interval(0), 100ms) << "unknown";
  EXPECT_EQ(after(true), 100ms);
  EXPECT_EQ(after(true), 1000ms);
  EXPECT_EQ(after(false), 100ms);
  EXPECT_EQ(after(false), 5000ms);
  EXPECT_EQ(after(true), 100ms);
  EXPECT_EQ(after(false), 5000ms);
}

TEST(BackendProbes, SilenceIsNoAnswer) {
  const std::vector<ProbeConfig> configs(2, ProbeConfig{.rise = 1, .fall = 1});
  BackendProbes backend(configs, 1);
  backend.add(0, {false, "timeout", Evidence::kSilence}, 0);
  EXPECT_TRUE(backend.failed_in_silence());
  backend.add(1, {false, "connection refused", Evidence::kAnswered}, 0);
  EXPECT_FALSE(backend.failed_in_silence());
}

}  // namespace
}  // namespace anypop::healthmon
