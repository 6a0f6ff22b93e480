// SPDX-License-Identifier: Apache-2.0
// Metrics as Prometheus reads them (text format 0.0.4), and the dataplane's own. Names and units by Prometheus' naming
// practice: base units, _total for what only grows. Every label has a bounded set of values: what pop.yaml names, the
// verdicts, the workers. Values. Complexity: of the page.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>

#include "dataplane_api/http.h"
#include "dataplane_api/messages.h"

namespace anypop {

class MetricsPage {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // What follows belongs to this family. Each family once.
  void counter(std::string_view name, std::string_view help);
  void gauge(std::string_view name, std::string_view help);
  void histogram(std::string_view name, std::string_view help);

  void add(Labels labels, double value);
  // `counts` has one more element than `bounds`: what is above the last one.
  void add(Labels labels, std::span<const double> bounds, std::span<const std::uint64_t> counts, double sum);

  std::string text() const;
  HttpResponse response() const { return {200, text(), "text/plain; version=0.0.4; charset=utf-8"}; }

 private:
  void family(prometheus::MetricType type, std::string_view name, std::string_view help);
  std::vector<prometheus::MetricFamily> families_;
};

// anypop_build_info of this program.
void add_build_info(MetricsPage& page, std::string_view program);

namespace dataplane_api {

inline constexpr std::string_view kMetricsPath = "/metrics";

void add_metrics(MetricsPage& page, const Heartbeat& heartbeat);
void add_metrics(MetricsPage& page, const State& state);
void add_metrics(MetricsPage& page, const Stats& stats);

}  // namespace dataplane_api
}  // namespace anypop
