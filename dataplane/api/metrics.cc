// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/metrics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

namespace anypop {
namespace {

// As the text format wants label values; help texts have no quotes to escape, but may be escaped alike.
void append_escaped(std::string& text, std::string_view value) {
  for (std::size_t plain = 0; plain < value.size();) {
    const std::size_t special = value.find_first_of("\\\"\n", plain);
    text.append(value.substr(plain, special - plain));
    if (special == std::string_view::npos) return;
    text += '\\';
    text += value[special] == '\n' ? 'n' : value[special];
    plain = special + 1;
  }
}

void append_number(std::string& text, double value) {
  if (std::isnan(value)) return void(text += "NaN");
  if (std::isinf(value)) return void(text += value > 0 ? "+Inf" : "-Inf");
  std::array<char, 32> digits;
  // Whole numbers as such: counters with an exponent are hard to read.
  constexpr double kExact = 9007199254740992;  // 2^53
  const bool whole = std::trunc(value) == value && std::abs(value) <= kExact;
  const auto end = whole ? std::to_chars(digits.begin(), digits.end(), static_cast<std::int64_t>(value)).ptr
                         : std::to_chars(digits.begin(), digits.end(), value).ptr;
  text.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

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

void MetricsPage::family(std::string_view type, std::string_view name, std::string_view help) {
  name_ = name;
  text_ += "# HELP ";
  text_ += name;
  text_ += ' ';
  text_ += escaped_help(help);
  text_ += "\n# TYPE ";
  text_ += name;
  text_ += ' ';
  text_ += type;
  text_ += '\n';
}

void MetricsPage::counter(std::string_view name, std::string_view help) { family("counter", name, help); }
void MetricsPage::gauge(std::string_view name, std::string_view help) { family("gauge", name, help); }
void MetricsPage::histogram(std::string_view name, std::string_view help) { family("histogram", name, help); }

void MetricsPage::line(std::string_view suffix, Labels labels, std::string_view last_name, std::string_view last_value,
                       double value) {
  text_ += name_;
  text_ += suffix;
  char before = '{';
  const auto label = [&](std::string_view name, std::string_view text) {
    text_ += before;
    text_ += name;
    text_ += "=\"";
    append_escaped(text_, text);
    text_ += '"';
    before = ',';
  };
  for (const auto& [name, text] : labels) label(name, text);
  if (!last_name.empty()) label(last_name, last_value);
  if (before == ',') text_ += '}';
  text_ += ' ';
  append_number(text_, value);
  text_ += '\n';
}

void MetricsPage::add(Labels labels, double value) { line("", labels, "", "", value); }

void MetricsPage::add(Labels labels, std::span<const double> bounds, std::span<const std::uint64_t> counts,
                      double sum) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    std::string bound;
    append_number(bound, i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity());
    line("_bucket", labels, "le", bound, static_cast<double>(total));
  }
  line("_sum", labels, "", "", sum);
  line("_count", labels, "", "", static_cast<double>(total));
}

void add_build_info(MetricsPage& page, MetricsPage::Labels programs) {
  page.gauge("anypop_build_info", "Which program of which version this is; always 1.");
  for (const auto& [program, version] : programs) page.add({{"program", program}, {"version", version}}, 1);
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

// What goes from the ports to the kernel, of ports that have an interface for it.
void add_punted(MetricsPage& page, const State& state) {
  page.counter("anypop_punt_packets_total",
               "Packets for the kernel, by kind: sent to it, over the kind's limit, or refused by its interface.");
  for (const PortState& port : state.ports) {
    for (const PuntState& kind : port.punted) {
      const auto add = [&](std::string_view result, std::uint64_t packets) {
        page.add({{"port", port.name}, {"kind", kind.kind}, {"result", result}}, static_cast<double>(packets));
      };
      add("sent", kind.sent);
      add("limited", kind.limited);
      add("refused", kind.refused);
    }
  }
}

void add_flows(MetricsPage& page, const FlowStats& flows) {
  const auto one = [&](std::uint64_t value) { page.add({}, static_cast<double>(value)); };
  const auto states = [&](std::uint64_t half_open, std::uint64_t established) {
    page.add({{"state", "half_open"}}, static_cast<double>(half_open));
    page.add({{"state", "established"}}, static_cast<double>(established));
  };
  page.gauge("anypop_flow_records", "Flows that the workers remember now.");
  states(flows.half_open, flows.established);
  page.gauge("anypop_flow_records_limit", "Flows that the workers' tables have room for.");
  one(flows.capacity);
  page.counter("anypop_flow_records_inserted_total", "Records made.");
  one(flows.inserted);
  page.counter("anypop_flow_records_expired_total", "Records of flows that were silent for too long.");
  one(flows.expired);
  page.counter("anypop_flow_records_evicted_total",
               "Records pushed out before their time; of established flows: the tables are too small.");
  states(flows.evicted_half_open, flows.evicted_established);
  page.counter("anypop_flow_hit_packets_total", "Packets that a record decided about.");
  one(flows.hits);
}

void add_workers(MetricsPage& page, const std::vector<WorkerStats>& workers) {
  page.counter("anypop_worker_packets_total", "Packets seen by the worker, by what became of them.");
  for (const WorkerStats& worker : workers) {
    const std::string number = std::to_string(worker.worker);
    for (const VerdictCount& count : worker.verdicts) {
      page.add({{"worker", number}, {"verdict", count.verdict}}, static_cast<double>(count.packets));
    }
  }
  page.histogram("anypop_worker_burst_duration_seconds",
                 "From reception to transmission of sampled bursts. The sum takes each bucket at its upper bound.");
  for (const WorkerStats& worker : workers) {
    // The same bounds at all times: 128 ns to 16.8 ms, in powers of two.
    constexpr std::size_t kFirst = 7;
    constexpr std::size_t kLast = 24;
    std::array<double, kLast - kFirst + 1> bounds;
    std::array<std::uint64_t, bounds.size() + 1> counts{};
    for (std::size_t i = 0; i < bounds.size(); ++i) bounds[i] = std::ldexp(1e-9, static_cast<int>(kFirst + i));
    double sum_s = 0;
    for (std::size_t i = 0; i < worker.latency.size(); ++i) {
      counts[std::clamp(i, kFirst, kLast + 1) - kFirst] += worker.latency[i];
      sum_s += static_cast<double>(worker.latency[i]) * std::ldexp(1e-9, static_cast<int>(i));
    }
    page.add({{"worker", std::to_string(worker.worker)}}, bounds, counts, sum_s);
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
  page.counter("anypop_port_link_changes_total", "Times that the link of the port went up or down.");
  per_port(page, state, &PortState::link_changes);
  add_punted(page, state);
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
  add_workers(page, stats.workers);
  add_flows(page, stats.flows);
  page.counter("anypop_backend_packets_total", "Packets forwarded to the backend.");
  per_backend(page, stats, &BackendStats::packets);
  page.counter("anypop_backend_bytes_total", "Bytes of the packets forwarded to the backend, as they came in.");
  per_backend(page, stats, &BackendStats::bytes);
}

}  // namespace dataplane_api
}  // namespace anypop
