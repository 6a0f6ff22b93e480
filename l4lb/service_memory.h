// SPDX-License-Identifier: Apache-2.0
// What a SnapshotBuilder remembers of each service from build to build, and across configurations: who owned its slots,
// the windows, and the ids of its backends.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <absl/status/status.h>

#include "base/config.h"
#include "slot_history.h"
#include "snapshot_layout.h"

namespace anypop::l4lb {

// By what packets of a service are sent from one build to the next.
struct SlotState {
  std::vector<bool> lives;                     // by the backends' numbers
  std::shared_ptr<const MaglevTable> owners;   // nullptr: none
  std::shared_ptr<const SlotHistory> history;  // nullptr: no window is open
};

struct ServiceMemory {
  HashBy hash = HashBy::kFlow;  // with network_bits: what slots are made of
  unsigned network_bits = 0;
  std::vector<std::string> backends;         // by the numbers that owners and history use
  std::map<std::string, std::uint16_t> ids;  // of these backends, and of former ones, which may come back
  std::uint32_t epoch = 0;  // tells its flow records from those of a removed service with the same name
  SlotState now;
  // The last one by which a packet went. No flow is where only later ones would have sent it, so a change is a change
  // from here: what came and went without a packet opens no window. Not saved: restored, it is what was `now`.
  SlotState used;
  std::uint32_t used_until = 0;  // in units of 1024 ms: no packet went by `used` after that
};

struct ServiceMemories {
  std::map<std::string, ServiceMemory> services;  // by name
  // Of a service that is added now. A removal begins another one: records outlive their service by its idle time, and
  // the ids that they name will be given to others.
  std::uint32_t epoch = 0;
};

// `memories` for other services: what is about a service that stays, numbered as its backends are now; nothing else.
ServiceMemories carry_over(ServiceMemories memories, const std::vector<ServiceConfig>& services);

// One build. The results are kept for other services with the same slots, because a change often concerns many.
class HistoryKeeper {
 public:
  // Both in units of 1024 ms.
  HistoryKeeper(std::uint32_t now, std::uint32_t window) : now_(now), window_(window) {}

  // Notes who owns the slots now, and which backends live; `idle`: no packet went by what has been in force until now.
  // track: never needs no history.
  void change(const std::shared_ptr<const MaglevTable>& owners, std::vector<bool> lives, Track track, bool idle,
              ServiceMemory& memory);

 private:
  void note_use(bool idle, ServiceMemory& memory) const;
  std::shared_ptr<const SlotHistory> history_after(const SlotState& before, const SlotState& after);

  using Key = std::tuple<const MaglevTable*, const MaglevTable*, const SlotHistory*, std::vector<bool>>;
  std::uint32_t now_;
  std::uint32_t window_;
  std::map<Key, std::shared_ptr<const SlotHistory>> done_;
  std::vector<std::shared_ptr<const void>> alive_;  // the pointers of the keys, so that none is used again
};

std::string save(const ServiceMemories& memories, std::uint64_t key_check);
absl::Status restore(std::string_view bytes, std::uint64_t key_check, ServiceMemories& memories);

}  // namespace anypop::l4lb
