// SPDX-License-Identifier: Apache-2.0
// Flow consistency once more, slow and plain: windows and records in maps, backends by name. Shares no code with the
// engine. Tables are never full here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/config.h"

namespace anypop::l4lb_testing {

// Of one service.
class ReferenceFlows {
 public:
  // A change: who owns each slot now (empty: nobody owns any), and who lives; idle: no packet since the last change.
  void change(const std::vector<std::string>& owners, const std::set<std::string>& living, bool idle,
              std::uint64_t now_ms, unsigned window_ms);
  void forget_windows() {
    windows_.clear();
    used_windows_.clear();
  }

  struct Packet {
    std::string flow;  // whatever tells flows apart
    std::size_t slot = 0;
    bool opens = false;
    bool closes = false;  // a FIN
    bool resets = false;  // a RST
    bool follows = false;
    std::uint32_t now_ms = 0;
    std::uint32_t idle_ms = 0;
  };
  enum class By : std::uint8_t { kSlot, kRecord, kPreviousOwner, kConnectionId };
  struct Choice {
    std::string backend;
    By by = By::kSlot;
  };
  // Precondition: the slots have owners.
  Choice choose(const Packet& packet, Track track);

 private:
  struct Window {
    std::string previous;
    std::uint64_t until = 0;  // in units of 1024 ms
  };
  struct Record {
    std::string backend;
    bool half_open = false;
    bool closing = false;
    std::uint32_t seen_ms = 0;
    std::uint32_t idle_ms = 0;  // that it may be silent from then on
  };
  static std::uint32_t idle_of(const Record& record, const Packet& packet);
  Record* find(const Packet& packet);

  using Windows = std::map<std::size_t, Window>;  // of the slots that have one
  // What the last packet met.
  std::vector<std::string> used_owners_;
  Windows used_windows_;
  std::uint64_t used_until_ = 0;  // in units of 1024 ms
  std::vector<std::string> owners_;
  std::set<std::string> living_;
  Windows windows_;
  std::map<std::string, Record> records_;
};

}  // namespace anypop::l4lb_testing
