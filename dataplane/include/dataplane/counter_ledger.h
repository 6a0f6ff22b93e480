// SPDX-License-Identifier: Apache-2.0
// The workers' counters over all configurations since the start. A reload gives every worker a new set, because
// services and backends have other numbers in another configuration; what was counted goes on by name. Control thread
// only.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/config.h"
#include "l4lb/pipeline.h"

namespace anypop::dataplane {

// One for each worker, fitting one configuration.
using CounterSet = std::vector<std::shared_ptr<l4lb::Counters>>;

struct Traffic {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

class CounterLedger {
 public:
  CounterLedger(const std::vector<ServiceConfig>& services, unsigned workers);

  const CounterSet& current() const { return current_.counters; }
  // A set for another configuration becomes the current one. Workers may write to the old one for as long as anybody
  // else holds it. Names that `services` does not have are forgotten; the verdicts never are.
  void renew(const std::vector<ServiceConfig>& services);

  // Sums since the start. `service` and `backend` are indices in the current configuration.
  std::uint64_t verdict(unsigned worker, l4lb::Verdict verdict) const;
  Traffic backend(std::size_t service, std::size_t backend) const;
  // Of each service, since the last renew().
  std::vector<std::uint64_t> packets_of_services() const;

 private:
  using Name = std::pair<std::string, std::string>;  // service, backend
  using Place = std::pair<std::size_t, std::size_t>;
  using Verdicts = std::array<std::uint64_t, l4lb::kVerdictCount>;
  struct Era {
    std::map<Name, Place> places;
    CounterSet counters;
  };

  static Era make_era(const std::vector<ServiceConfig>& services, unsigned workers);
  static Traffic sum(const Era& era, const Place& place);
  void name_backends(const std::vector<ServiceConfig>& services);
  void settle();

  Era current_;
  std::vector<Name> names_;                 // of the current configuration, flat
  std::vector<std::size_t> first_name_;     // of each service, in names_
  std::vector<Era> leaving_;                // somebody may still write to them
  std::vector<Verdicts> settled_verdicts_;  // [worker]
  std::map<Name, Traffic> settled_;
};

}  // namespace anypop::dataplane
