// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/metrics.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop {
namespace {

using testing::HasSubstr;

// What Prometheus' own tool has to say; "" is praise.
std::string promtool(const std::string& page) {
  std::string file = testing::TempDir() + "metrics_XXXXXX";
  const int descriptor = ::mkstemp(file.data());
  EXPECT_EQ(::write(descriptor, page.data(), page.size()), static_cast<ssize_t>(page.size()));
  ::close(descriptor);
  FILE* pipe = ::popen(("promtool check metrics <" + file + " 2>&1").c_str(), "r");
  std::string said;
  for (char c = 0; std::fread(&c, 1, 1, pipe) == 1;) said += c;
  EXPECT_EQ(::pclose(pipe), 0);
  ::unlink(file.c_str());
  return said;
}

TEST(Metrics, TheDataplanesAreAsPrometheusWantsThem) {
  MetricsPage page;
  add_build_info(page, {{"anypop-dataplane", "1.0"}});
  add_metrics(page, dataplane_api::Heartbeat{"i", 7, {{0, 12345, 1.5}, {1, 6, 250}}});
  add_metrics(page, dataplane_api::State{.ports = {{.name = "uplink",
                                                    .link_up = true,
                                                    .rx_packets = 10,
                                                    .buffers = 8192,
                                                    .buffers_in_use = 4352,
                                                    .rx_waiting = {3, 0},
                                                    .rx_ring = 2048,
                                                    .punted = {{"routing", 9, 8, 7}}}},
                                         .services = {{.name = "web4", .backends = {{.name = "b1", .slots = 100}}}}});
  add_metrics(page, dataplane_api::Stats{.verdicts = {{"forward", 9'007'199'254'740'000}, {"drop_truncated", 0}},
                                         .services = {{"web4", {{"b1", 5, 600}}}},
                                         .workers = {{1, {{"forward", 7}}, {0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1}}},
                                         .flows = {.evicted_established = 3, .half_open = 2, .capacity = 1024}});
  const std::string text = page.text();
  EXPECT_EQ(promtool(text), "");
  for (const char* line :
       {"# TYPE anypop_packets_total counter\n", "anypop_packets_total{verdict=\"drop_truncated\"} 0\n",
        "anypop_packets_total{verdict=\"forward\"} 9007199254740000\n",
        "anypop_dataplane_worker_age_seconds{worker=\"1\"} 0.25\n", "anypop_dataplane_generation 7\n",
        "anypop_backend_bytes_total{service=\"web4\",backend=\"b1\"} 600\n", "anypop_port_up{port=\"uplink\"} 1\n",
        "anypop_port_buffers_in_use{port=\"uplink\"} 4352\n",
        "anypop_port_receive_waiting_packets{port=\"uplink\",queue=\"0\"} 3\n",
        "anypop_punt_packets_total{port=\"uplink\",kind=\"routing\",result=\"limited\"} 8\n",
        "anypop_worker_packets_total{worker=\"1\",verdict=\"forward\"} 7\n",
        "anypop_worker_burst_duration_seconds_bucket{worker=\"1\",le=\"2.56e-07\"} 4\n",
        "anypop_worker_burst_duration_seconds_bucket{worker=\"1\",le=\"+Inf\"} 5\n",
        "anypop_flow_records{state=\"half_open\"} 2\n", "anypop_flow_records_limit 1024\n",
        "anypop_flow_records_evicted_total{state=\"established\"} 3\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, HistogramsAndNames) {
  MetricsPage page;
  page.histogram("anypop_x_seconds", "A \"quoted\"\nhelp.");
  page.add({{"who", "a\"b\\c\nd"}}, std::vector<double>{0.1, 1}, std::vector<std::uint64_t>{3, 0, 2}, 7.5);
  const std::string text = page.text();
  EXPECT_EQ(promtool(text), "");
  EXPECT_THAT(text, HasSubstr("anypop_x_seconds_bucket{who=\"a\\\"b\\\\c\\nd\",le=\"0.1\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("le=\"+Inf\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("anypop_x_seconds_sum{who=\"a\\\"b\\\\c\\nd\"} 7.5\n"));
}

// The same families through prometheus-cpp: the same lines, numbers compared as numbers.
TEST(Metrics, SaysWhatPrometheusCppSays) {
  using prometheus::ClientMetric;
  MetricsPage page;
  std::vector<prometheus::MetricFamily> families;
  for (int i = 0; i < 200; ++i) {
    const std::string name = fmt::format("anypop_x{}", i);
    const std::string nasty = fmt::format("{}\\ \" \n = {{}} , \xc3\xa9", i);
    const double value = i % 7 == 0 ? i : std::ldexp(1.0 / (i + 1), (i % 50 - 25) * 4);
    page.gauge(name, "Help.");
    page.add({{"a", nasty}, {"b", "plain"}}, value);
    page.add({}, -value);
    ClientMetric labelled;
    labelled.label = {{"a", nasty}, {"b", "plain"}};
    labelled.gauge.value = value;
    ClientMetric bare;
    bare.gauge.value = -value;
    families.push_back({name, "Help.", prometheus::MetricType::Gauge, {labelled, bare}});
  }
  const auto ours = split(page.text(), '\n');
  const std::string other = prometheus::TextSerializer().Serialize(families);
  const auto theirs = split(other, '\n');
  ASSERT_EQ(ours.size(), theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i] == theirs[i]) continue;
    const std::size_t blank = ours[i].rfind(' ');
    ASSERT_NE(blank, std::string_view::npos) << ours[i];
    ASSERT_EQ(ours[i].substr(0, blank), theirs[i].substr(0, theirs[i].rfind(' ')));
    EXPECT_DOUBLE_EQ(std::stod(std::string(ours[i].substr(blank))),
                     std::stod(std::string(theirs[i].substr(theirs[i].rfind(' ')))));
  }
}

}  // namespace
}  // namespace anypop
