// SPDX-License-Identifier: Apache-2.0
// A page of metrics of 500 services with 50 backends each, ten lines for each backend: as MetricsPage writes it, and as
// prometheus-cpp's families and serializer do.
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <prometheus/text_serializer.h>

#include "dataplane_api/metrics.h"

namespace anypop {
namespace {

constexpr std::size_t kServices = 500;
constexpr std::size_t kBackends = 50;
constexpr std::size_t kFamilies = 10;

std::vector<std::string> names(const char* prefix, std::size_t count) {
  std::vector<std::string> made;
  for (std::size_t i = 0; i < count; ++i) made.push_back(prefix + std::to_string(i));
  return made;
}

void BM_MetricsPage(benchmark::State& state) {
  const auto services = names("service-", kServices);
  const auto backends = names("backend-", kBackends);
  std::size_t bytes = 0;
  for (auto _ : state) {
    MetricsPage page;
    page.reserve(bytes);
    for (std::size_t family = 0; family < kFamilies; ++family) {
      page.counter("anypop_backend_packets_total", "Packets forwarded to the backend.");
      for (const std::string& service : services) {
        for (const std::string& backend : backends) page.add({{"service", service}, {"backend", backend}}, 1234567);
      }
    }
    bytes = page.text().size();
    benchmark::DoNotOptimize(page.text().data());
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(BM_MetricsPage)->Unit(benchmark::kMillisecond);

void BM_PrometheusCpp(benchmark::State& state) {
  const auto services = names("service-", kServices);
  const auto backends = names("backend-", kBackends);
  std::size_t bytes = 0;
  for (auto _ : state) {
    std::vector<prometheus::MetricFamily> families;
    for (std::size_t i = 0; i < kFamilies; ++i) {
      prometheus::MetricFamily& family = families.emplace_back();
      family.name = "anypop_backend_packets_total";
      family.help = "Packets forwarded to the backend.";
      family.type = prometheus::MetricType::Counter;
      for (const std::string& service : services) {
        for (const std::string& backend : backends) {
          prometheus::ClientMetric& metric = family.metric.emplace_back();
          metric.label = {{"service", service}, {"backend", backend}};
          metric.counter.value = 1234567;
        }
      }
    }
    bytes = prometheus::TextSerializer().Serialize(families).size();
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(BM_PrometheusCpp)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace anypop
