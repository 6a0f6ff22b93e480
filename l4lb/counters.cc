// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <tuple>

#include "l4lb/pipeline.h"
#include "snapshot_layout.h"

namespace anypop::l4lb {
namespace {

std::size_t backends_of_all(const std::vector<ServiceConfig>& services) {
  std::size_t sum = 0;
  for (const ServiceConfig& service : services) sum += service.backends.size();
  return sum;
}

}  // namespace

Counters::Counters(const std::vector<ServiceConfig>& services) : backends_(backends_of_all(services)) {
  std::size_t first = 0;
  for (const ServiceConfig& service : services) {
    first_backend_.push_back(first);
    first += service.backends.size();
  }
}

Counters::Counters(const Snapshot& snapshot) : backends_(snapshot.next_hop_ports.size()) {
  for (const ServiceEntry& service : snapshot.services) first_backend_.push_back(service.first_backend);
}

std::uint64_t Counters::verdict(Verdict verdict) const {
  return verdicts_[static_cast<std::size_t>(verdict)].load(std::memory_order_relaxed);
}

const Counters::Traffic& Counters::backend(std::size_t service, std::size_t backend) const {
  return backends_[first_backend_[service] + backend];
}

FlowTableStats Counters::flows() const {
  std::array<std::uint64_t, std::tuple_size_v<decltype(flows_)>> values;
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = flows_[i].load(std::memory_order_relaxed);
  return std::bit_cast<FlowTableStats>(values);
}

void Counters::set_flows(const FlowTableStats& stats) {
  const auto values = std::bit_cast<std::array<std::uint64_t, std::tuple_size_v<decltype(flows_)>>>(stats);
  for (std::size_t i = 0; i < values.size(); ++i) flows_[i].store(values[i], std::memory_order_relaxed);
}

void Counters::count(std::span<const Packet> packets) {
  std::size_t forwarded = 0;
  for (const Packet& packet : packets) {
    if (packet.verdict != Verdict::kForward) continue;
    ++forwarded;
    by_backend().add(first_backend_[packet.service] + packet.backend, packet.length_bytes);
  }
  count_verdicts(packets, forwarded);
}

void Counters::count_verdicts(std::span<const Packet> packets, std::size_t forwarded) {
  increase(verdicts_[static_cast<std::size_t>(Verdict::kForward)], forwarded);
  if (forwarded == packets.size()) return;
  for (const Packet& packet : packets) {
    if (packet.verdict == Verdict::kForward) continue;
    increase(verdicts_[static_cast<std::size_t>(packet.verdict)], 1);
  }
}

}  // namespace anypop::l4lb
