// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "anypop_cli/json_read.h"
#include "anypop_cli/top_page.h"
#include "base/text.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

// The element of that name; nullptr: none, or the list does not exist.
template <typename T>
const T* find(const std::vector<T>* list, const std::string& name) {
  if (list == nullptr) return nullptr;
  const auto at = std::ranges::find(*list, name, &T::name);
  return at == list->end() ? nullptr : &*at;
}

// Two looks at the same run of the dataplane.
class Rates {
 public:
  Rates(const Look& before, const Look& now) : seconds_(now.at_s - before.at_s) {
    if (!before.facts.stats.ok() || !now.facts.stats.ok() || seconds_ <= 0) return;
    if (before.facts.stats->instance != now.facts.stats->instance) return;
    before_ = &before;
  }
  const dataplane_api::Stats* stats() const { return before_ == nullptr ? nullptr : &*before_->facts.stats; }
  const dataplane_api::State* state() const {
    return before_ == nullptr || !before_->facts.dataplane.ok() ? nullptr : &*before_->facts.dataplane;
  }
  const dataplane_api::Heartbeat* heartbeat() const {
    return before_ == nullptr || !before_->heartbeat.ok() ? nullptr : &*before_->heartbeat;
  }
  template <typename T>
  Rate rate(std::string name, const T* before, const T& now, std::uint64_t T::*field) const {
    Rate out{.name = std::move(name), .total = now.*field};
    if (before != nullptr && now.*field >= before->*field) {
      out.per_s = static_cast<double>(now.*field - before->*field) / seconds_;
    }
    return out;
  }

 private:
  double seconds_;
  const Look* before_ = nullptr;
};

std::vector<Rate> verdict_rates(const Rates& rates, const dataplane_api::Stats& now) {
  std::vector<Rate> out;
  for (const dataplane_api::VerdictCount& count : now.verdicts) {
    if (count.packets == 0) continue;
    const dataplane_api::VerdictCount* before = nullptr;
    if (rates.stats() != nullptr) {
      const auto& all = rates.stats()->verdicts;
      const auto at = std::ranges::find(all, count.verdict, &dataplane_api::VerdictCount::verdict);
      if (at != all.end()) before = &*at;
    }
    out.push_back(rates.rate(count.verdict, before, count, &dataplane_api::VerdictCount::packets));
  }
  return out;
}

ServiceRates service_rates(const Rates& rates, const dataplane_api::ServiceState& state,
                           const dataplane_api::ServiceStats* now) {
  ServiceRates out{.name = state.name, .endpoint = fmt::format("{} {}/{}", state.vip, state.protocol, state.port)};
  const auto* const before = find(rates.stats() == nullptr ? nullptr : &rates.stats()->services, state.name);
  for (const dataplane_api::BackendState& backend : state.backends) {
    BackendRates& line = out.backends.emplace_back();
    line.address = backend.address;
    line.healthy = backend.healthy;
    line.resolved = backend.resolved;
    line.packets.name = line.bytes.name = backend.name;
    const auto* const counted = find(now == nullptr ? nullptr : &now->backends, backend.name);
    if (counted == nullptr) continue;
    const auto* const then = find(before == nullptr ? nullptr : &before->backends, backend.name);
    line.packets = rates.rate(backend.name, then, *counted, &dataplane_api::BackendStats::packets);
    line.bytes = rates.rate(backend.name, then, *counted, &dataplane_api::BackendStats::bytes);
  }
  return out;
}

PortRates port_rates(const Rates& rates, const dataplane_api::PortState& port) {
  using dataplane_api::PortState;
  const auto* const before = find(rates.state() == nullptr ? nullptr : &rates.state()->ports, port.name);
  return {.name = port.name,
          .link_up = port.link_up,
          .rx = rates.rate("rx", before, port, &PortState::rx_packets),
          .tx = rates.rate("tx", before, port, &PortState::tx_packets),
          .missed = rates.rate("missed", before, port, &PortState::rx_missed),
          .dropped = rates.rate("dropped", before, port, &PortState::tx_dropped)};
}

std::vector<WorkerRates> worker_rates(const Rates& rates, const dataplane_api::Heartbeat& now) {
  using dataplane_api::WorkerHeartbeat;
  std::vector<WorkerRates> out;
  for (const WorkerHeartbeat& worker : now.workers) {
    const WorkerHeartbeat* before = nullptr;
    if (rates.heartbeat() != nullptr) {
      const auto& all = rates.heartbeat()->workers;
      const auto at = std::ranges::find(all, worker.worker, &WorkerHeartbeat::worker);
      if (at != all.end()) before = &*at;
    }
    out.push_back({.loops = rates.rate(fmt::format("{}", worker.worker), before, worker, &WorkerHeartbeat::loops),
                   .age_ms = worker.age_ms});
  }
  return out;
}

void add_dataplane(const Rates& rates, const Look& now, TopView& view) {
  if (!now.facts.dataplane.ok()) {
    view.dataplane_error = message(now.facts.dataplane.status());
    return;
  }
  view.generation = now.facts.dataplane->generation;
  for (const auto& port : now.facts.dataplane->ports) view.ports.push_back(port_rates(rates, port));
  const auto* const services = now.facts.stats.ok() ? &now.facts.stats->services : nullptr;
  for (const auto& service : now.facts.dataplane->services) {
    view.services.push_back(service_rates(rates, service, find(services, service.name)));
  }
  if (now.facts.stats.ok()) view.verdicts = verdict_rates(rates, *now.facts.stats);
  if (now.heartbeat.ok()) view.workers = worker_rates(rates, *now.heartbeat);
}

void add_monitor(const Look& now, TopView& view) {
  if (!now.facts.monitor.ok()) {
    view.monitor_error = message(now.facts.monitor.status());
    return;
  }
  for (const json::value& announcement : list_of(&*now.facts.monitor, "announcements")) {
    view.announcements.push_back(announcement_text(announcement));
  }
}

}  // namespace

TopView make_view(const std::string& pop, const Look& before, const Look& now) {
  TopView view{.pop = pop};
  add_dataplane(Rates(before, now), now, view);
  add_monitor(now, view);
  return view;
}

bool is_good(const TopView& view) {
  return view.dataplane_error.empty() && view.monitor_error.empty() &&
         std::ranges::all_of(view.announcements, [](const AnnouncementText& one) { return one.level != "withdrawn"; });
}

}  // namespace anypop::cli
