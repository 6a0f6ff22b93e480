// SPDX-License-Identifier: Apache-2.0
// Metrics as Prometheus reads them (text format 0.0.4), and the dataplane's own. Names and units by Prometheus' naming
// practice: base units, _total for what only grows. Every label has a bounded set of values: what pop.yaml names, the
// verdicts, the workers. Values. Complexity: of the page.
//
// The text is written as the values come: a page of 500 services with 50 backends each has 300,000 lines, and making
// families of them for prometheus-cpp to write would take many times as long (metrics_bench).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

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

  void reserve(std::size_t bytes) { text_.reserve(bytes); }  // what the page is expected to take
  const std::string& text() const { return text_; }
  HttpResponse response() && { return {200, std::move(text_), "text/plain; version=0.0.4; charset=utf-8"}; }

 private:
  void family(std::string_view type, std::string_view name, std::string_view help);
  void line(std::string_view suffix, Labels labels, std::string_view last_name, std::string_view last_value,
            double value);

  std::string name_;  // of the family
  std::string text_;
};

// anypop_build_info of each of these programs: its name and version.
void add_build_info(MetricsPage& page, MetricsPage::Labels programs);

namespace dataplane_api {

inline constexpr std::string_view kMetricsPath = "/metrics";

void add_metrics(MetricsPage& page, const Heartbeat& heartbeat);
void add_metrics(MetricsPage& page, const State& state);
void add_metrics(MetricsPage& page, const Stats& stats);

}  // namespace dataplane_api
}  // namespace anypop
