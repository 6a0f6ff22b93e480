// SPDX-License-Identifier: Apache-2.0
#include "service_memory.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace anypop::l4lb {
namespace {

// An id names a backend in flow records, so one that has been given away is used again only when ids run out; then the
// flows of the former backend are long broken.
constexpr std::size_t kIdsMax = 60'000;

void give_ids(const std::vector<std::string>& backends, std::map<std::string, std::uint16_t>& ids) {
  std::vector<bool> used(kIdsMax + backends.size() + 1);
  if (ids.size() + backends.size() > kIdsMax) {
    std::erase_if(ids, [&](const auto& id) { return std::ranges::find(backends, id.first) == backends.end(); });
  }
  for (const auto& [name, id] : ids) used[id] = true;
  std::size_t next = 0;
  for (const std::string& name : backends) {
    if (ids.contains(name)) continue;
    while (used[next]) ++next;
    ids.emplace(name, static_cast<std::uint16_t>(next++));
  }
}

std::vector<std::string> names_of(const ServiceConfig& service) {
  std::vector<std::string> names;
  for (const BackendConfig& backend : service.backends) names.push_back(backend.name);
  return names;
}

std::vector<std::uint16_t> numbers_in(const std::vector<std::string>& names, const std::vector<std::string>& of) {
  std::vector<std::uint16_t> numbers;
  for (const std::string& name : of) {
    const auto at = std::ranges::find(names, name);
    numbers.push_back(at == names.end() ? kNoPrevious : static_cast<std::uint16_t>(at - names.begin()));
  }
  return numbers;
}

void renumber_all(const std::vector<std::uint16_t>& to, std::size_t backends, SlotState& state) {
  if (state.owners != nullptr) {
    state.owners = std::make_shared<MaglevTable>(MaglevTable{.slots = renumber(state.owners->slots, to), .owned = {}});
  }
  if (state.history != nullptr) {
    auto history = std::make_shared<SlotHistory>(*state.history);
    history->previous = renumber(history->previous, to);
    state.history = std::move(history);
  }
  std::vector<bool> lives(backends);
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i] != kNoPrevious && i < state.lives.size()) lives[to[i]] = state.lives[i];
  }
  state.lives = std::move(lives);
}

void renumber_all(const std::vector<std::string>& names, ServiceMemory& memory) {
  const std::vector<std::uint16_t> to = numbers_in(names, memory.backends);
  for (SlotState* const state : {&memory.now, &memory.used}) renumber_all(to, names.size(), *state);
}

bool removes_one(const ServiceMemories& memories, const std::vector<ServiceConfig>& services) {
  return std::ranges::any_of(memories.services, [&](const auto& known) {
    return std::ranges::find(services, known.first, &ServiceConfig::name) == services.end();
  });
}

}  // namespace

ServiceMemories carry_over(ServiceMemories memories, const std::vector<ServiceConfig>& services) {
  ServiceMemories result{.services = {}, .epoch = memories.epoch};
  if (removes_one(memories, services)) ++result.epoch;
  for (const ServiceConfig& service : services) {
    ServiceMemory& memory = result.services[service.name];
    memory.epoch = result.epoch;
    const auto known = memories.services.find(service.name);
    if (known != memories.services.end()) memory = std::move(known->second);
    if (memory.hash != service.hash || memory.network_bits != service.network_bits) {
      memory.now = {};
      memory.used = {};
    }
    memory.hash = service.hash;
    memory.network_bits = service.network_bits;
    std::vector<std::string> names = names_of(service);
    if (names != memory.backends) renumber_all(names, memory);
    memory.backends = std::move(names);
    give_ids(memory.backends, memory.ids);
  }
  return result;
}

void HistoryKeeper::note_use(bool idle, ServiceMemory& memory) const {
  if (!idle) {
    memory.used = memory.now;
    memory.used_until = now_;
  } else if (now_ - memory.used_until >= window_) {
    memory.used = {};  // whoever was there has been silent for too long
  }
}

std::shared_ptr<const SlotHistory> HistoryKeeper::history_after(const SlotState& before, const SlotState& after) {
  const bool over = before.history != nullptr && (before.history->next_end <= now_ || before.lives != after.lives);
  if (before.owners == after.owners && !over) return before.history;
  const Key key{before.owners.get(), after.owners.get(), before.history.get(), after.lives};
  const auto [known, added] = done_.try_emplace(key);
  if (added) {
    const auto slots_of = [](const auto& table) {
      return table == nullptr ? std::span<const std::uint16_t>() : std::span<const std::uint16_t>(table->slots);
    };
    known->second = next_history(before.history.get(), {.was = slots_of(before.owners),
                                                        .is = slots_of(after.owners),
                                                        .lives = after.lives,
                                                        .now = now_,
                                                        .window = window_});
    alive_.insert(alive_.end(), {before.owners, before.history});
  }
  return known->second;
}

void HistoryKeeper::change(const std::shared_ptr<const MaglevTable>& owners, std::vector<bool> lives, Track track,
                           bool idle, ServiceMemory& memory) {
  note_use(idle, memory);
  memory.now = {.lives = std::move(lives), .owners = owners, .history = nullptr};
  if (track != Track::kNever) memory.now.history = history_after(memory.used, memory.now);
}

}  // namespace anypop::l4lb
