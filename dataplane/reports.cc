// SPDX-License-Identifier: Apache-2.0
#include "dataplane/reports.h"

#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace anypop::dataplane {
namespace {

dataplane_api::PortState port_state(const Reporters& from, std::size_t index) {
  const Port& port = *(*from.ports)[index];
  const PortCounters counters = port.counters();
  dataplane_api::PortState state{port.config().name,  port.config().device, port.mac().to_string(), port.link_up(),
                                 counters.rx_packets, counters.tx_packets,  counters.rx_missed,     0};
  for (const auto& worker : *from.workers) {
    for (std::size_t i = 0; i < worker->queues().size(); ++i) {
      if (worker->queues()[i].port_index != index) continue;
      state.tx_dropped += worker->queue_counters(i).tx_dropped.load(std::memory_order_relaxed);
      state.rx_missed += worker->queue_counters(i).rx_multi_segment.load(std::memory_order_relaxed);
    }
  }
  return state;
}

dataplane_api::ServiceState service_state(const Reporters& from, std::size_t index) {
  const ServiceConfig& service = from.forwarding->config().services[index];
  dataplane_api::ServiceState state{
      service.name,
      service.vip_prefix_bits ? service.vip_prefix().to_string() : service.vip.to_string(),
      std::string(protocol_name(service.protocol)),
      service.port,
      {}};
  for (std::size_t b = 0; b < service.backends.size(); ++b) {
    const BackendConfig& backend = service.backends[b];
    const l4lb::BackendState& known = from.forwarding->backend(index, b);
    state.backends.push_back({backend.name, backend.address.to_string(), backend.weight, known.healthy,
                              known.next_hop_mac.has_value(),
                              known.next_hop_mac ? known.next_hop_mac->to_string() : std::string(),
                              l4lb::slots(from.forwarding->snapshot(), index, b), known.weight_permille});
  }
  return state;
}

}  // namespace

dataplane_api::Heartbeat report_heartbeat(const Reporters& from) {
  dataplane_api::Heartbeat heartbeat{from.instance, l4lb::generation(from.forwarding->snapshot()), {}};
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
                             {},
                             {}};
  for (std::size_t i = 0; i < from.ports->size(); ++i) state.ports.push_back(port_state(from, i));
  for (std::size_t i = 0; i < from.forwarding->config().services.size(); ++i)
    state.services.push_back(service_state(from, i));
  return state;
}

dataplane_api::Stats report_stats(const Reporters& from) {
  dataplane_api::Stats stats{from.instance, {}, {}};
  const PopConfig& config = from.forwarding->config();
  const CounterLedger& counters = from.forwarding->counters();
  for (const l4lb::VerdictInfo& info : l4lb::kVerdicts) {
    stats.verdicts.push_back({std::string(info.name), counters.verdict(info.verdict)});
  }
  for (std::size_t s = 0; s < config.services.size(); ++s) {
    dataplane_api::ServiceStats service{config.services[s].name, {}};
    for (std::size_t b = 0; b < config.services[s].backends.size(); ++b) {
      const Traffic traffic = counters.backend(s, b);
      service.backends.push_back({config.services[s].backends[b].name, traffic.packets, traffic.bytes});
    }
    stats.services.push_back(std::move(service));
  }
  return stats;
}

std::string make_instance_name() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return fmt::format("{:x}-{:x}", std::chrono::nanoseconds(now).count(), ::getpid());
}

}  // namespace anypop::dataplane
