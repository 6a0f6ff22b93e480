// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/metrics.h"

#include <limits>
#include <string>

#include <prometheus/text_serializer.h>

namespace anypop {
namespace {

// The serializer escapes labels, but not this.
std::string escaped_help(std::string_view help) {
  std::string text;
  for (const char c : help) {
    if (c == '\\') text += "\\\\";
    if (c == '\n') text += "\\n";
    if (c != '\\' && c != '\n') text += c;
  }
  return text;
}

}  // namespace

void MetricsPage::family(prometheus::MetricType type, std::string_view name, std::string_view help) {
  prometheus::MetricFamily& family = families_.emplace_back();
  family.name = name;
  family.help = escaped_help(help);
  family.type = type;
}

void MetricsPage::counter(std::string_view name, std::string_view help) {
  family(prometheus::MetricType::Counter, name, help);
}
void MetricsPage::gauge(std::string_view name, std::string_view help) {
  family(prometheus::MetricType::Gauge, name, help);
}
void MetricsPage::histogram(std::string_view name, std::string_view help) {
  family(prometheus::MetricType::Histogram, name, help);
}

void MetricsPage::add(Labels labels, double value) {
  prometheus::MetricFamily& family = families_.back();
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  for (const auto& [name, text] : labels) metric.label.push_back({std::string(name), std::string(text)});
  metric.counter.value = metric.gauge.value = value;
}

void MetricsPage::add(Labels labels, std::span<const double> bounds, std::span<const std::uint64_t> counts,
                      double sum) {
  prometheus::ClientMetric& metric = families_.back().metric.emplace_back();
  for (const auto& [name, text] : labels) metric.label.push_back({std::string(name), std::string(text)});
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back({total, bound});
  }
  metric.histogram.sample_count = total;
  metric.histogram.sample_sum = sum;
}

std::string MetricsPage::text() const { return prometheus::TextSerializer().Serialize(families_); }

void add_build_info(MetricsPage& page, std::string_view program) {
  page.gauge("anypop_build_info", "Which program of which version this is; always 1.");
  page.add({{"program", program}, {"version", ANYPOP_VERSION}}, 1);
}

namespace dataplane_api {
namespace {

// One family of the ports.
void per_port(MetricsPage& page, const State& state, std::uint64_t PortState::*value) {
  for (const PortState& port : state.ports) page.add({{"port", port.name}}, static_cast<double>(port.*value));
}

void per_backend(MetricsPage& page, const Stats& stats, std::uint64_t BackendStats::*value) {
  for (const ServiceStats& service : stats.services) {
    for (const BackendStats& backend : service.backends) {
      page.add({{"service", service.name}, {"backend", backend.name}}, static_cast<double>(backend.*value));
    }
  }
}

}  // namespace

void add_metrics(MetricsPage& page, const Heartbeat& heartbeat) {
  page.counter("anypop_dataplane_worker_loops_total", "Passes of the worker through its poll loop.");
  for (const WorkerHeartbeat& worker : heartbeat.workers) {
    page.add({{"worker", std::to_string(worker.worker)}}, static_cast<double>(worker.loops));
  }
  page.gauge("anypop_dataplane_worker_age_seconds", "Since the worker's last pass.");
  for (const WorkerHeartbeat& worker : heartbeat.workers) {
    page.add({{"worker", std::to_string(worker.worker)}}, worker.age_ms / 1000);
  }
  page.gauge("anypop_dataplane_generation", "Of the forwarding state in force.");
  page.add({}, static_cast<double>(heartbeat.generation));
}

void add_metrics(MetricsPage& page, const State& state) {
  page.gauge("anypop_port_up", "1: the link of the port is up.");
  for (const PortState& port : state.ports) page.add({{"port", port.name}}, port.link_up ? 1 : 0);
  page.counter("anypop_port_receive_packets_total", "Packets that the port handed to the workers.");
  per_port(page, state, &PortState::rx_packets);
  page.counter("anypop_port_transmit_packets_total", "Packets that left by the port.");
  per_port(page, state, &PortState::tx_packets);
  page.counter("anypop_port_receive_missed_packets_total", "Packets lost before the workers saw them.");
  per_port(page, state, &PortState::rx_missed);
  page.counter("anypop_port_transmit_dropped_packets_total", "Forwarded packets that the port took no more.");
  per_port(page, state, &PortState::tx_dropped);
  page.gauge("anypop_port_buffers", "Packet buffers of the port.");
  per_port(page, state, &PortState::buffers);
  page.gauge("anypop_port_buffers_in_use", "Of those: in queues, in the caches of the cores, on their way.");
  per_port(page, state, &PortState::buffers_in_use);
  page.gauge("anypop_port_receive_waiting_packets", "In the device's receive ring, where the driver can say.");
  for (const PortState& port : state.ports) {
    for (std::size_t queue = 0; queue < port.rx_waiting.size(); ++queue) {
      page.add({{"port", port.name}, {"queue", std::to_string(queue)}}, static_cast<double>(port.rx_waiting[queue]));
    }
  }
  page.gauge("anypop_backend_slots", "Of the service's Maglev table that are this backend's.");
  for (const ServiceState& service : state.services) {
    for (const BackendState& backend : service.backends) {
      page.add({{"service", service.name}, {"backend", backend.name}}, static_cast<double>(backend.slots));
    }
  }
}

void add_metrics(MetricsPage& page, const Stats& stats) {
  page.counter("anypop_packets_total", "Packets seen, by what became of them.");
  for (const VerdictCount& count : stats.verdicts) {
    page.add({{"verdict", count.verdict}}, static_cast<double>(count.packets));
  }
  page.counter("anypop_backend_packets_total", "Packets forwarded to the backend.");
  per_backend(page, stats, &BackendStats::packets);
  page.counter("anypop_backend_bytes_total", "Bytes of the packets forwarded to the backend, as they came in.");
  per_backend(page, stats, &BackendStats::bytes);
}

}  // namespace dataplane_api
}  // namespace anypop
