// SPDX-License-Identifier: Apache-2.0
#include "dataplane/counter_ledger.h"

#include <algorithm>

namespace anypop::dataplane {

CounterLedger::Era CounterLedger::make_era(const std::vector<ServiceConfig>& services, unsigned workers) {
  Era era;
  for (std::size_t s = 0; s < services.size(); ++s) {
    for (std::size_t b = 0; b < services[s].backends.size(); ++b) {
      era.places[{services[s].name, services[s].backends[b].name}] = {s, b};
    }
  }
  for (unsigned worker = 0; worker < workers; ++worker) {
    era.counters.push_back(std::make_shared<l4lb::Counters>(services));
  }
  return era;
}

CounterLedger::CounterLedger(const std::vector<ServiceConfig>& services, unsigned workers)
    : current_(make_era(services, workers)), settled_verdicts_(workers) {
  name_backends(services);
}

void CounterLedger::name_backends(const std::vector<ServiceConfig>& services) {
  names_.clear();
  first_name_.clear();
  for (const ServiceConfig& service : services) {
    first_name_.push_back(names_.size());
    for (const BackendConfig& backend : service.backends) names_.emplace_back(service.name, backend.name);
  }
}

void CounterLedger::renew(const std::vector<ServiceConfig>& services) {
  const auto workers = static_cast<unsigned>(settled_verdicts_.size());
  leaving_.push_back(std::exchange(current_, make_era(services, workers)));
  name_backends(services);
  const auto is_gone = [this](const auto& entry) { return !current_.places.contains(entry.first); };
  std::erase_if(settled_, is_gone);
  for (Era& era : leaving_) std::erase_if(era.places, is_gone);
  settle();
}

// What nobody else holds has reached its last value.
void CounterLedger::settle() {
  std::erase_if(leaving_, [this](const Era& era) {
    const auto is_ours = [](const auto& counters) { return counters.use_count() == 1; };
    if (!std::ranges::all_of(era.counters, is_ours)) return false;
    for (const auto& [name, place] : era.places) {
      const Traffic traffic = sum(era, place);
      settled_[name].packets += traffic.packets;
      settled_[name].bytes += traffic.bytes;
    }
    for (std::size_t worker = 0; worker < era.counters.size(); ++worker) {
      for (const l4lb::VerdictInfo& info : l4lb::kVerdicts) {
        settled_verdicts_[worker][static_cast<std::size_t>(info.verdict)] +=
            era.counters[worker]->verdict(info.verdict);
      }
    }
    return true;
  });
}

std::uint64_t CounterLedger::verdict(unsigned worker, l4lb::Verdict verdict) const {
  std::uint64_t sum = settled_verdicts_[worker][static_cast<std::size_t>(verdict)];
  sum += current_.counters[worker]->verdict(verdict);
  for (const Era& era : leaving_) sum += era.counters[worker]->verdict(verdict);
  return sum;
}

Traffic CounterLedger::sum(const Era& era, const Place& place) {
  Traffic sum;
  for (const auto& counters : era.counters) {
    const auto& traffic = counters->backend(place.first, place.second);
    sum.packets += traffic.packets.load(std::memory_order_relaxed);
    sum.bytes += traffic.bytes.load(std::memory_order_relaxed);
  }
  return sum;
}

std::vector<std::uint64_t> CounterLedger::packets_of_services() const {
  std::vector<std::uint64_t> packets(first_name_.size());
  for (const auto& [name, place] : current_.places) packets[place.first] += sum(current_, place).packets;
  return packets;
}

Traffic CounterLedger::backend(std::size_t service, std::size_t backend) const {
  const Name& name = names_[first_name_[service] + backend];
  Traffic total = sum(current_, {service, backend});
  const auto add = [&total](const Traffic& more) {
    total.packets += more.packets;
    total.bytes += more.bytes;
  };
  if (const auto at = settled_.find(name); at != settled_.end()) add(at->second);
  for (const Era& era : leaving_) {
    if (const auto at = era.places.find(name); at != era.places.end()) add(sum(era, at->second));
  }
  return total;
}

}  // namespace anypop::dataplane
