// SPDX-License-Identifier: Apache-2.0
#include "dataplane/reports.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <rte_cycles.h>
#include <unistd.h>

#include "base/probe_source.h"

namespace anypop::dataplane {
namespace {

void add_punted(const PuntCounters& counters, dataplane_api::PortState& state) {
  for (std::size_t kind = 0; kind < l4lb::kPuntClassCount; ++kind) {
    state.punted[kind].sent += counters.sent[kind].load(std::memory_order_relaxed);
    state.punted[kind].limited += counters.limited[kind].load(std::memory_order_relaxed);
    state.punted[kind].refused += counters.refused[kind].load(std::memory_order_relaxed);
  }
  state.from_kernel += counters.from_kernel.load(std::memory_order_relaxed);
  state.from_kernel_dropped += counters.from_kernel_dropped.load(std::memory_order_relaxed);
}

void add_queue(const Worker& worker, std::size_t queue, dataplane_api::PortState& state) {
  state.tx_dropped += worker.queue_counters(queue).tx_dropped.load(std::memory_order_relaxed);
  state.rx_missed += worker.queue_counters(queue).rx_multi_segment.load(std::memory_order_relaxed);
  if (const Punt* punt = worker.punt(queue)) add_punted(punt->counters(), state);
}

dataplane_api::PortState port_state(const Reporters& from, std::size_t index) {
  const Port& port = *(*from.ports)[index];
  const PortCounters counters = port.counters();
  dataplane_api::PortState state;
  state.name = port.config().name;
  state.device = port.config().device;
  state.mac = port.mac().to_string();
  state.link = link_name(from.watch->link(index));
  state.link_up = from.watch->link(index) == Link::kUp;
  state.link_changes = from.watch->link_changes(index);
  state.rx_packets = counters.rx_packets;
  state.tx_packets = counters.tx_packets;
  state.rx_missed = counters.rx_missed;
  state.queues = port.config().queues;
  state.buffers = counters.buffers;
  state.buffers_in_use = counters.buffers_in_use;
  state.rx_waiting = counters.waiting;
  state.rx_ring = counters.ring_size;
  state.kernel = port.config().kernel;
  if (port.kernel() != nullptr) {
    for (const std::string_view name : l4lb::kPuntClassNames) state.punted.push_back({std::string(name), 0, 0, 0});
  }
  for (const auto& worker : *from.workers) {
    for (std::size_t i = 0; i < worker->queues().size(); ++i) {
      if (worker->queues()[i].port_index == index) add_queue(*worker, i, state);
    }
  }
  return state;
}

// In powers of two of nanoseconds: those of ticks, moved by the clock's speed.
std::vector<std::uint64_t> latency_ns(const LatencyHistogram& ticks, double ns_per_tick) {
  std::vector<std::uint64_t> buckets(LatencyHistogram::kBuckets);
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
    const double upper_ns = std::ldexp(ns_per_tick, static_cast<int>(i));
    const auto at = static_cast<std::size_t>(std::max(0.0, std::ceil(std::log2(upper_ns))));
    buckets[std::min(at, buckets.size() - 1)] += ticks.bucket(i);
  }
  while (!buckets.empty() && buckets.back() == 0) buckets.pop_back();
  return buckets;
}

dataplane_api::ServiceState service_state(const Reporters& from, std::size_t index) {
  const ServiceConfig& service = from.forwarding->config().services[index];
  dataplane_api::ServiceState state{
      service.name,
      service.vip_prefix_bits ? service.vip_prefix().to_string() : service.vip.to_string(),
      std::string(protocol_name(service.protocol)),
      service.port,
      {},
      l4lb::open_windows(from.forwarding->snapshot(), index)};
  const auto& reserved = from.forwarding->config().dataplane.engine.probe_sources;
  const IpPrefix* const prefix = find_probe_prefix(reserved, service.vip.family());
  const auto sources = prefix != nullptr ? probe_sources(*prefix, service.backends) : std::vector<IpAddress>();
  for (std::size_t b = 0; b < service.backends.size(); ++b) {
    const BackendConfig& backend = service.backends[b];
    const l4lb::BackendState& known = from.forwarding->backend(index, b);
    state.backends.push_back({backend.name, backend.address.to_string(), backend.weight, known.healthy,
                              known.next_hop_mac.has_value(),
                              known.next_hop_mac ? known.next_hop_mac->to_string() : std::string(),
                              backend.mac ? std::string() : from.next_hop(backend.address),
                              l4lb::slots(from.forwarding->snapshot(), index, b), known.weight_permille,
                              sources.empty() ? std::string() : sources[b].to_string()});
  }
  return state;
}

void add(const l4lb::FlowTableStats& of_worker, dataplane_api::FlowStats& sum) {
  sum.hits += of_worker.hits;
  sum.inserted += of_worker.inserted;
  sum.evicted_half_open += of_worker.evicted_half_open;
  sum.evicted_established += of_worker.evicted_established;
  sum.expired += of_worker.expired;
  sum.half_open += of_worker.half_open;
  sum.established += of_worker.established;
}

}  // namespace

dataplane_api::Heartbeat report_heartbeat(const Reporters& from) {
  dataplane_api::Heartbeat heartbeat{
      from.instance, l4lb::generation(from.forwarding->snapshot()), {}, from.planned_restart_ms()};
  for (const auto& worker : *from.workers) {
    heartbeat.workers.push_back({worker->number(), worker->loops(), worker->age_ms()});
  }
  return heartbeat;
}

dataplane_api::State report_state(const Reporters& from) {
  dataplane_api::State state{ANYPOP_VERSION,
                             from.forwarding->config().pop,
                             from.instance,
                             static_cast<std::uint64_t>(::getpid()),
                             l4lb::generation(from.forwarding->snapshot()),
                             std::string(l4lb::hash_engine()),
                             {},
                             {}};
  for (std::size_t i = 0; i < from.ports->size(); ++i) state.ports.push_back(port_state(from, i));
  for (std::size_t i = 0; i < from.forwarding->config().services.size(); ++i)
    state.services.push_back(service_state(from, i));
  return state;
}

dataplane_api::Stats report_stats(const Reporters& from) {
  dataplane_api::Stats stats{from.instance, {}, {}, {}};
  const PopConfig& config = from.forwarding->config();
  const CounterLedger& counters = from.forwarding->counters();
  for (std::size_t s = 0; s < config.services.size(); ++s) {
    dataplane_api::ServiceStats service{config.services[s].name, {}};
    for (std::size_t b = 0; b < config.services[s].backends.size(); ++b) {
      const Traffic traffic = counters.backend(s, b);
      service.backends.push_back({config.services[s].backends[b].name, traffic.packets, traffic.bytes});
    }
    stats.services.push_back(std::move(service));
  }
  for (const l4lb::VerdictInfo& info : l4lb::kVerdicts) stats.verdicts.push_back({std::string(info.name), 0});
  for (const auto& worker : *from.workers) {
    dataplane_api::WorkerStats& out = stats.workers.emplace_back();
    out.worker = worker->number();
    // Each counter is read once, so that the sums are those of the workers in the same answer.
    for (std::size_t v = 0; v < l4lb::kVerdictCount; ++v) {
      const l4lb::VerdictInfo& info = l4lb::kVerdicts[v];
      out.verdicts.push_back({std::string(info.name), counters.verdict(worker->number(), info.verdict)});
      stats.verdicts[v].packets += out.verdicts.back().packets;
    }
    out.latency = latency_ns(worker->latency(), 1e9 / static_cast<double>(rte_get_tsc_hz()));
  }
  for (const auto& worker : counters.current()) add(worker->flows(), stats.flows);
  for (const auto& worker : *from.workers) stats.flows.capacity += worker->flows().capacity();
  return stats;
}

std::string make_instance_name() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return fmt::format("{:x}-{:x}", std::chrono::nanoseconds(now).count(), ::getpid());
}

}  // namespace anypop::dataplane
