// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/metrics.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

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
  add_build_info(page, "anypop-dataplane");
  add_metrics(page, dataplane_api::Heartbeat{"i", 7, {{0, 12345, 1.5}, {1, 6, 250}}});
  add_metrics(page, dataplane_api::State{.ports = {{.name = "uplink",
                                                    .link_up = true,
                                                    .rx_packets = 10,
                                                    .buffers = 8192,
                                                    .buffers_in_use = 4352,
                                                    .rx_waiting = {3, 0},
                                                    .rx_ring = 2048}},
                                         .services = {{.name = "web4", .backends = {{.name = "b1", .slots = 100}}}}});
  add_metrics(page, dataplane_api::Stats{.verdicts = {{"forward", 9'007'199'254'740'000}, {"drop_truncated", 0}},
                                         .services = {{"web4", {{"b1", 5, 600}}}}});
  const std::string text = page.text();
  EXPECT_EQ(promtool(text), "");
  for (const char* line :
       {"# TYPE anypop_packets_total counter\n", "anypop_packets_total{verdict=\"drop_truncated\"} 0\n",
        "anypop_packets_total{verdict=\"forward\"} 9007199254740000\n",
        "anypop_dataplane_worker_age_seconds{worker=\"1\"} 0.25\n", "anypop_dataplane_generation 7\n",
        "anypop_backend_bytes_total{service=\"web4\",backend=\"b1\"} 600\n", "anypop_port_up{port=\"uplink\"} 1\n",
        "anypop_port_buffers_in_use{port=\"uplink\"} 4352\n",
        "anypop_port_receive_waiting_packets{port=\"uplink\",queue=\"0\"} 3\n"}) {
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

}  // namespace
}  // namespace anypop
